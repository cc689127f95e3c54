"""SAM 2 and 2.1 on single images: a hierarchical encoder (Hiera) and SAM's decoder.

Ravi et al., SAM 2: Segment Anything in Images and Videos, 2024. The published checkpoints hold the
video memory as well, which prompts on images do not need. Sizes are those of the configurations
that the authors publish beside their weights; versions 2 and 2.1 have the same.
"""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

import seg_assets.modeling.torchvision_cpu  # noqa: F401
from seg_assets.modeling.mask_models.hugging_face.base import TransformersMaskModel
from seg_assets.modeling.mask_models.hugging_face.building import DecoderSizes, needs_transformers

PATCH_SIZE = 16
"""Pixels per side of a cell of the coarsest feature map that the decoder reads."""


@dataclass(frozen=True, kw_only=True)
class Sam2Sizes(DecoderSizes):
    """Sizes of one SAM 2.

    Attributes:
        encoder_dim: Channels of the encoder's first stage; each stage doubles them.
        encoder_heads: Attention heads of the first stage; each stage doubles them.
        blocks: Transformer blocks of the four stages.
        global_attention: Indexes of the blocks that attend over the whole image, not in windows.
        windows: Side of an attention window per stage, in patches.
        position_grid: Side of the grid of learned positions, which is enlarged to the image.
    """

    image_size: int = 1024
    encoder_dim: int
    encoder_heads: int
    blocks: tuple[int, int, int, int]
    global_attention: tuple[int, ...]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    position_grid: int = 7


HIERA_TINY = Sam2Sizes(
    encoder_dim=96, encoder_heads=1, blocks=(1, 2, 7, 2), global_attention=(5, 7, 9)
)
HIERA_SMALL = Sam2Sizes(
    encoder_dim=96, encoder_heads=1, blocks=(1, 2, 11, 2), global_attention=(7, 10, 13)
)
HIERA_BASE_PLUS = Sam2Sizes(
    encoder_dim=112,
    encoder_heads=2,
    blocks=(2, 3, 16, 3),
    global_attention=(12, 16, 20),
    position_grid=14,
)
HIERA_LARGE = Sam2Sizes(
    encoder_dim=144,
    encoder_heads=2,
    blocks=(2, 6, 36, 4),
    global_attention=(23, 33, 43),
    windows=(8, 4, 16, 8),
)
# For tests: every part is there, and an image takes milliseconds.
TINY = Sam2Sizes(
    image_size=128,
    encoder_dim=8,
    encoder_heads=1,
    blocks=(1, 1, 2, 1),
    global_attention=(3,),
    windows=(4, 4, 4, 2),
    prompt_dim=32,
    decoder_mlp_dim=64,
    decoder_heads=2,
    iou_head_dim=32,
    start_std=0.2,
)

SAM2_CONFIGS: dict[str, Sam2Sizes] = {
    "sam2_hiera_tiny": HIERA_TINY,
    "sam2_hiera_small": HIERA_SMALL,
    "sam2_hiera_base_plus": HIERA_BASE_PLUS,
    "sam2_hiera_large": HIERA_LARGE,
    "sam2_tiny": TINY,
}

VIDEO_KEYS = (
    "memory_*",
    "mask_downsample*",
    "object_pointer_proj*",
    "temporal_positional_encoding_projection_layer*",
    "no_memory_positional_encoding",
    "no_object_pointer",
    "occlusion_spatial_embedding_parameter",
)
"""Keys of the video memory, which is not part of the image network."""


class Sam2MaskModel(TransformersMaskModel):
    """SAM 2 or 2.1 (`transformers.Sam2Model`).

    The one mask for a clear prompt is that of the token for single masks where it is stable, else
    the best of the three candidates.
    """

    configs = tuple(SAM2_CONFIGS)
    keeps_aspect = False
    unused_keys = VIDEO_KEYS

    @classmethod
    def from_config(cls, config: str) -> Self:
        """Build one of `SAM2_CONFIGS`; see `TransformersMaskModel.from_config`."""
        with needs_transformers(config):
            from transformers import (  # noqa: PLC0415
                Sam2Config,
                Sam2HieraDetConfig,
                Sam2MaskDecoderConfig,
                Sam2Model,
                Sam2PromptEncoderConfig,
                Sam2VisionConfig,
            )
        sizes = SAM2_CONFIGS[config]
        doubling = [1, 2, 4, 8]
        dims = [sizes.encoder_dim * factor for factor in doubling]
        cells = sizes.image_size // PATCH_SIZE
        network = Sam2Model(
            Sam2Config(
                vision_config=Sam2VisionConfig(
                    backbone_config=Sam2HieraDetConfig(
                        hidden_size=sizes.encoder_dim,
                        num_attention_heads=sizes.encoder_heads,
                        image_size=[sizes.image_size, sizes.image_size],
                        blocks_per_stage=list(sizes.blocks),
                        embed_dim_per_stage=dims,
                        num_attention_heads_per_stage=[
                            sizes.encoder_heads * factor for factor in doubling
                        ],
                        window_size_per_stage=list(sizes.windows),
                        global_attention_blocks=list(sizes.global_attention),
                        window_positional_embedding_background_size=[sizes.position_grid] * 2,
                        initializer_range=sizes.start_std,
                    ),
                    backbone_channel_list=dims[::-1],
                    backbone_feature_sizes=[[cells * factor] * 2 for factor in (4, 2, 1)],
                    fpn_hidden_size=sizes.prompt_dim,
                    initializer_range=sizes.start_std,
                ),
                prompt_encoder_config=Sam2PromptEncoderConfig(
                    hidden_size=sizes.prompt_dim,
                    image_size=sizes.image_size,
                    patch_size=PATCH_SIZE,
                    mask_input_channels=sizes.mask_input_channels,
                ),
                mask_decoder_config=Sam2MaskDecoderConfig(
                    hidden_size=sizes.prompt_dim,
                    mlp_dim=sizes.decoder_mlp_dim,
                    num_attention_heads=sizes.decoder_heads,
                    iou_head_hidden_dim=sizes.iou_head_dim,
                ),
                initializer_range=sizes.start_std,
            )
        )
        return cls(network.eval(), square=sizes.image_size, logits_side=4 * cells, candidates=3)

    def _encode(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at a quarter, an eighth and a sixteenth of the input, (B, C, h, w) each."""
        return tuple(self.network.get_image_embeddings(pixels))

    def _image_arguments(self, features: tuple[Tensor, ...]) -> dict[str, Any]:
        return {"image_embeddings": list(features)}
