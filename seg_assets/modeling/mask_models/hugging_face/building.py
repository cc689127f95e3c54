"""What the builders of transformers' networks share: sizes, and the import of an optional extra."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from seg_assets.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DecoderSizes:
    """Sizes of a prompt encoder and mask decoder.

    Attributes:
        image_size: Side of the square that the network sees, in pixels.
        prompt_dim: Channels of image embedding, prompts and decoder.
        mask_input_channels: Hidden channels of the mask prompt's embedding.
        decoder_mlp_dim: Hidden width of the decoder's MLPs.
        decoder_heads: Its attention heads.
        iou_head_dim: Hidden width of the head that predicts a mask's IoU.
        start_std: Standard deviation of the random start weights.
    """

    image_size: int
    prompt_dim: int = 256
    mask_input_channels: int = 16
    decoder_mlp_dim: int = 2048
    decoder_heads: int = 8
    iou_head_dim: int = 256
    start_std: float = 0.02


@contextmanager
def needs_transformers(config: str) -> Iterator[None]:
    """Turn a failing import of transformers into an InputError that says how to install it."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"the configuration '{config}' needs the package transformers, version 5 or later: "
            "pip install 'seg_assets[transformers]'"
        ) from error
