"""SAM: an image encoder run once per image, a prompt encoder and a mask decoder run per prompt.

The networks are the segment-anything package's own classes, so its published checkpoints load by
their key names. Only the sizes are ours to choose.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.checkpoints import LoadedModel, load_model
from seg_assets.modeling.manifest import ModelEntry, entry, weights_path
from seg_assets.modeling.pixels import PIXEL_MEAN, PIXEL_STD
from seg_assets.modeling.spread_start import spread_start_values
from seg_assets.modeling.state_file import read_description


@dataclass(frozen=True)
class SamConfig:
    """Sizes of one SAM.

    Attributes:
        encoder_dim: Channels of the image encoder.
        encoder_depth: Its number of transformer blocks.
        encoder_heads: Its attention heads; a divisor of `encoder_dim`.
        global_attention: Indexes of the blocks that attend over the whole image, not in windows.
        encoder_mlp_ratio: Hidden width of a block's MLP over `encoder_dim`.
        image_size: Side of the square that images are scaled and padded to, in pixels.
        patch_size: Side of a patch in pixels; the low-resolution masks have image_size / patch_size
            x 4 pixels a side.
        window_size: Side of an attention window, in patches.
        use_rel_pos: Whether attention adds a learned term per relative position.
        prompt_dim: Channels of image embedding, prompts and decoder; a multiple of 8 and of
            `decoder_heads` x 2.
        mask_input_channels: Hidden channels of the mask prompt's embedding; a multiple of 4, at
            least 8: a quarter of them meet a layer norm, which makes a lone one the same anywhere.
        decoder_depth: Two-way blocks of the mask decoder.
        decoder_mlp_dim: Hidden width of their MLPs.
        decoder_heads: Their attention heads.
        iou_head_depth: Layers of the head that predicts a mask's IoU.
        iou_head_dim: Its hidden width.
        spread_start: Whether the random start values are those of `spread_start.py`, with which
            masks differ even before any training.
    """

    encoder_dim: int
    encoder_depth: int
    encoder_heads: int
    global_attention: tuple[int, ...]
    encoder_mlp_ratio: float = 4.0
    image_size: int = 1024
    patch_size: int = 16
    window_size: int = 14
    use_rel_pos: bool = True
    prompt_dim: int = 256
    mask_input_channels: int = 16
    decoder_depth: int = 2
    decoder_mlp_dim: int = 2048
    decoder_heads: int = 8
    iou_head_depth: int = 3
    iou_head_dim: int = 256
    spread_start: bool = False

    @property
    def mask_size(self) -> int:
        """Side of the low-resolution masks in pixels."""
        return self.image_size // self.patch_size * 4


VIT_B = SamConfig(
    encoder_dim=768, encoder_depth=12, encoder_heads=12, global_attention=(2, 5, 8, 11)
)
VIT_L = SamConfig(
    encoder_dim=1024, encoder_depth=24, encoder_heads=16, global_attention=(5, 11, 17, 23)
)
VIT_H = SamConfig(
    encoder_dim=1280, encoder_depth=32, encoder_heads=16, global_attention=(7, 15, 23, 31)
)
# 2.8 million parameters: small enough to ship and to run on one CPU core.
DEMO = SamConfig(
    encoder_dim=192,
    encoder_depth=5,
    encoder_heads=6,
    global_attention=(2, 4),
    encoder_mlp_ratio=3.0,
    image_size=192,
    patch_size=16,
    window_size=6,
    use_rel_pos=False,
    prompt_dim=128,
    decoder_mlp_dim=256,
    iou_head_dim=128,
)
# For tests: every part is there, and an image takes milliseconds.
TINY = SamConfig(
    encoder_dim=32,
    encoder_depth=2,
    encoder_heads=2,
    global_attention=(1,),
    encoder_mlp_ratio=2.0,
    image_size=128,
    patch_size=8,
    window_size=5,
    prompt_dim=32,
    decoder_mlp_dim=64,
    decoder_heads=2,
    iou_head_dim=32,
    spread_start=True,
)

SAM_CONFIGS: dict[str, SamConfig] = {
    "vit_b": VIT_B,
    "vit_l": VIT_L,
    "vit_h": VIT_H,
    "demo": DEMO,
    "tiny": TINY,
}


def build_sam(config: SamConfig) -> Sam:
    """Build a SAM with random weights, in evaluation mode, on the current default device.

    Keys and shapes of its state are those of the segment-anything package's model of that size.
    """
    grid = config.image_size // config.patch_size
    sam = Sam(
        image_encoder=ImageEncoderViT(
            img_size=config.image_size,
            patch_size=config.patch_size,
            embed_dim=config.encoder_dim,
            depth=config.encoder_depth,
            num_heads=config.encoder_heads,
            mlp_ratio=config.encoder_mlp_ratio,
            out_chans=config.prompt_dim,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),  # pyright: ignore[reportArgumentType]
            use_rel_pos=config.use_rel_pos,
            window_size=config.window_size,
            global_attn_indexes=config.global_attention,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=config.prompt_dim,
            image_embedding_size=(grid, grid),
            input_image_size=(config.image_size, config.image_size),
            mask_in_chans=config.mask_input_channels,
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=config.prompt_dim,
            transformer=TwoWayTransformer(
                depth=config.decoder_depth,
                embedding_dim=config.prompt_dim,
                num_heads=config.decoder_heads,
                mlp_dim=config.decoder_mlp_dim,
            ),
            num_multimask_outputs=3,
            iou_head_depth=config.iou_head_depth,
            iou_head_hidden_dim=config.iou_head_dim,
        ),
        pixel_mean=list(PIXEL_MEAN),
        pixel_std=list(PIXEL_STD),
    )
    if config.spread_start:
        spread_start_values(sam)
    return sam.eval()


def load_sam(name: str, device: str | torch.device = "cpu") -> LoadedModel[Sam]:
    """Load the SAM that the model manifest calls `name`, e.g. "sam_vit_h".

    It scales its input by the mean and deviation of its entry.

    Raises:
        InputError: The manifest has no such SAM, asks for an unknown configuration, or the device
            is not there.
        CheckpointError: The weights are missing, damaged or do not fit, or were trained on pixels
            of another mean or deviation than the entry's.
    """
    chosen = entry(name, kind="sam")
    loaded = load_model(chosen, _build_by_name, device, any_pixels=True)
    _check_pixels(chosen)
    for buffer, values in (("pixel_mean", chosen.mean), ("pixel_std", chosen.std)):
        loaded.model.get_buffer(buffer).copy_(torch.tensor(values).view(-1, 1, 1))
    return loaded


def _check_pixels(chosen: ModelEntry) -> None:
    """Refuse to scale pixels otherwise than in the training of the weights, where that is known."""
    path = weights_path(chosen)
    described = read_description(path) if path.is_file() else None
    trained = (described or {}).get("description", {}).get("normalisation")
    used = {
        "mean": [round(value, 4) for value in chosen.mean],
        "std": [round(value, 4) for value in chosen.std],
    }
    if trained is not None and trained != used:
        raise CheckpointError(
            f"{path} was trained on pixels with mean {trained.get('mean')} and std "
            f"{trained.get('std')}, but the model manifest gives {chosen.name} the mean "
            f"{used['mean']} and std {used['std']}: write the training's into the manifest"
        )


def _build_by_name(config: str) -> Sam:
    if config not in SAM_CONFIGS:
        raise InputError(
            f"the model manifest asks for the SAM configuration '{config}'; "
            f"choose one of: {', '.join(SAM_CONFIGS)}"
        )
    return build_sam(SAM_CONFIGS[config])
