"""SAM 3's tracker on single images: points, boxes and masks as prompts, no texts.

Carion et al., SAM 3: Segment Anything with Concepts, 2025. Prompt encoder and decoder are those of
SAM 2; the encoder is a plain vision transformer. The published checkpoint holds detector, tracker
and video memory; the tracker shares the detector's backbone and has a neck of its own.
"""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

import seg_assets.modeling.torchvision_cpu  # noqa: F401
from seg_assets.modeling.mask_models.hugging_face.base import TransformersMaskModel
from seg_assets.modeling.mask_models.hugging_face.building import DecoderSizes, needs_transformers
from seg_assets.modeling.mask_models.hugging_face.sam2 import VIDEO_KEYS


@dataclass(frozen=True, kw_only=True)
class Sam3TrackerSizes(DecoderSizes):
    """Sizes of one SAM 3 tracker.

    Attributes:
        encoder_dim: Channels of the image encoder.
        encoder_mlp_dim: Hidden width of a block's MLP.
        encoder_depth: Its number of transformer blocks.
        encoder_heads: Its attention heads.
        global_attention: Indexes of the blocks that attend over the whole image, not in windows.
        patch_size: Side of a patch in pixels.
        window_size: Side of an attention window, in patches.
        pretrain_image_size: Side of the image whose grid of learned positions is tiled.
    """

    encoder_dim: int
    encoder_mlp_dim: int
    encoder_depth: int
    encoder_heads: int
    global_attention: tuple[int, ...]
    patch_size: int
    window_size: int
    pretrain_image_size: int


SAM3 = Sam3TrackerSizes(
    image_size=1008,
    encoder_dim=1024,
    encoder_mlp_dim=4736,
    encoder_depth=32,
    encoder_heads=16,
    global_attention=(7, 15, 23, 31),
    patch_size=14,
    window_size=24,
    pretrain_image_size=336,
)
# For tests: every part is there, and an image takes milliseconds.
TINY = Sam3TrackerSizes(
    image_size=112,
    encoder_dim=32,
    encoder_mlp_dim=64,
    encoder_depth=2,
    encoder_heads=2,
    global_attention=(1,),
    patch_size=14,
    window_size=4,
    pretrain_image_size=56,
    prompt_dim=32,
    decoder_mlp_dim=64,
    decoder_heads=2,
    iou_head_dim=32,
    start_std=0.2,
)

SAM3_TRACKER_CONFIGS: dict[str, Sam3TrackerSizes] = {
    "sam3_tracker": SAM3,
    "sam3_tracker_tiny": TINY,
}

# The file's names of what transformers' tracker calls by the keys on the left.
_PUBLISHED = {
    "vision_encoder.backbone.": "detector_model.vision_encoder.backbone.",
    "vision_encoder.neck.": "tracker_neck.",
}


class Sam3TrackerMaskModel(TransformersMaskModel):
    """SAM 3's tracker (`transformers.Sam3TrackerModel`).

    The one mask for a clear prompt is chosen as in SAM 2.
    """

    configs = tuple(SAM3_TRACKER_CONFIGS)
    keeps_aspect = False
    unused_keys = (
        "detector_model.[!v]*",
        "detector_model.vision_encoder.neck.*",
        "tracker_neck.fpn_layers.3.*",
        *(f"tracker_model.{key}" for key in VIDEO_KEYS),
    )

    @classmethod
    def from_config(cls, config: str) -> Self:
        """Build one of `SAM3_TRACKER_CONFIGS`; see `TransformersMaskModel.from_config`."""
        with needs_transformers(config):
            from transformers import (  # noqa: PLC0415
                Sam3TrackerConfig,
                Sam3TrackerMaskDecoderConfig,
                Sam3TrackerModel,
                Sam3TrackerPromptEncoderConfig,
                Sam3VisionConfig,
                Sam3ViTConfig,
            )
        sizes = SAM3_TRACKER_CONFIGS[config]
        cells = sizes.image_size // sizes.patch_size
        network = Sam3TrackerModel(
            Sam3TrackerConfig(
                vision_config=Sam3VisionConfig(
                    backbone_config=Sam3ViTConfig(
                        hidden_size=sizes.encoder_dim,
                        intermediate_size=sizes.encoder_mlp_dim,
                        num_hidden_layers=sizes.encoder_depth,
                        num_attention_heads=sizes.encoder_heads,
                        image_size=sizes.image_size,
                        patch_size=sizes.patch_size,
                        window_size=sizes.window_size,
                        global_attn_indexes=list(sizes.global_attention),
                        pretrain_image_size=sizes.pretrain_image_size,
                        initializer_range=sizes.start_std,
                    ),
                    fpn_hidden_size=sizes.prompt_dim,
                    # The neck's fourth, coarsest map is left out. Meta's image predictor drops it
                    # and adds the embedding for "no memory" to the third; with four maps,
                    # transformers (5.0 to 5.23) adds it to the fourth, where it is lost.
                    scale_factors=[4.0, 2.0, 1.0],
                    backbone_feature_sizes=[[cells * factor] * 2 for factor in (4, 2, 1)],
                    initializer_range=sizes.start_std,
                ),
                prompt_encoder_config=Sam3TrackerPromptEncoderConfig(
                    hidden_size=sizes.prompt_dim,
                    image_size=sizes.image_size,
                    patch_size=sizes.patch_size,
                    mask_input_channels=sizes.mask_input_channels,
                ),
                mask_decoder_config=Sam3TrackerMaskDecoderConfig(
                    hidden_size=sizes.prompt_dim,
                    mlp_dim=sizes.decoder_mlp_dim,
                    num_attention_heads=sizes.decoder_heads,
                    iou_head_hidden_dim=sizes.iou_head_dim,
                ),
                initializer_range=sizes.start_std,
            )
        )
        return cls(network.eval(), square=sizes.image_size, logits_side=4 * cells, candidates=3)

    def published_key(self, key: str) -> str:
        """See `TransformersMaskModel.published_key`."""
        for own, published in _PUBLISHED.items():
            if key.startswith(own):
                return published + key.removeprefix(own)
        return f"tracker_model.{key}"

    def _encode(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of 4, 2 and 1 cells per patch and side, (B, C, h, w) each."""
        return tuple(self.network.get_image_embeddings(pixels))

    def _image_arguments(self, features: tuple[Tensor, ...]) -> dict[str, Any]:
        return {"image_embeddings": list(features)}
