"""SAM-HQ: a SAM with one more output token, whose mask is added to the others' for finer edges.

Ke et al., Segment Anything in High Quality, NeurIPS 2023. The encoder's sizes are those of SAM.
Predicted IoUs are SAM's guesses of its own masks; the network orders its candidates by them.
"""

from typing import Any, Self

from torch import Tensor

import seg_assets.modeling.torchvision_cpu  # noqa: F401
from seg_assets.modeling.mask_models.hugging_face.base import TransformersMaskModel
from seg_assets.modeling.mask_models.hugging_face.building import needs_transformers
from seg_assets.modeling.sam import TINY, VIT_B, VIT_H, VIT_L, SamConfig

# Standard deviation of random start weights; that of the tiny network lets masks differ untrained.
START_STD = 0.02
SPREAD_START_STD = 0.2

SAM_HQ_CONFIGS: dict[str, SamConfig] = {
    "sam_hq_vit_b": VIT_B,
    "sam_hq_vit_l": VIT_L,
    "sam_hq_vit_h": VIT_H,
    "sam_hq_tiny": TINY,
}


class SamHqMaskModel(TransformersMaskModel):
    """SAM-HQ (`transformers.SamHQModel`).

    Every mask is the sum of one of SAM's masks and of the high-quality token's, in logits.
    """

    configs = tuple(SAM_HQ_CONFIGS)
    keeps_aspect = True

    @classmethod
    def from_config(cls, config: str) -> Self:
        """Build one of `SAM_HQ_CONFIGS`; see `TransformersMaskModel.from_config`."""
        with needs_transformers(config):
            from transformers import (  # noqa: PLC0415
                SamHQConfig,
                SamHQMaskDecoderConfig,
                SamHQModel,
                SamHQPromptEncoderConfig,
                SamHQVisionConfig,
            )
        sizes = SAM_HQ_CONFIGS[config]
        start_std = SPREAD_START_STD if sizes.spread_start else START_STD
        network = SamHQModel(
            SamHQConfig(
                vision_config=SamHQVisionConfig(
                    hidden_size=sizes.encoder_dim,
                    output_channels=sizes.prompt_dim,
                    num_hidden_layers=sizes.encoder_depth,
                    num_attention_heads=sizes.encoder_heads,
                    image_size=sizes.image_size,
                    patch_size=sizes.patch_size,
                    mlp_ratio=sizes.encoder_mlp_ratio,
                    use_rel_pos=sizes.use_rel_pos,
                    window_size=sizes.window_size,
                    global_attn_indexes=list(sizes.global_attention),
                    num_pos_feats=sizes.prompt_dim // 2,
                    initializer_range=start_std,
                ),
                prompt_encoder_config=SamHQPromptEncoderConfig(
                    hidden_size=sizes.prompt_dim,
                    image_size=sizes.image_size,
                    patch_size=sizes.patch_size,
                    mask_input_channels=sizes.mask_input_channels,
                ),
                mask_decoder_config=SamHQMaskDecoderConfig(
                    hidden_size=sizes.prompt_dim,
                    mlp_dim=sizes.decoder_mlp_dim,
                    num_hidden_layers=sizes.decoder_depth,
                    num_attention_heads=sizes.decoder_heads,
                    iou_head_depth=sizes.iou_head_depth,
                    iou_head_hidden_dim=sizes.iou_head_dim,
                    vit_dim=sizes.encoder_dim,
                ),
                initializer_range=start_std,
            )
        )
        return cls(
            network.eval(), square=sizes.image_size, logits_side=sizes.mask_size, candidates=3
        )

    def _encode(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Embedding, (B, C, h, w), and the first global block's output, (B, h, w, encoder_dim)."""
        features, blocks = self.network.get_image_embeddings(pixels)
        return features, blocks[0]  # the decoder reads no other block

    def _image_arguments(self, features: tuple[Tensor, ...]) -> dict[str, Any]:
        return {"image_embeddings": features[0], "intermediate_embeddings": [features[1]]}
