"""SAM's upscaling of keys to masks, for chosen masks and the part of the square with the image."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling.common import LayerNorm2d

from seg_assets.modeling.mask_models.point_arithmetic import normalise_and_activate
from seg_assets.modeling.mask_models.point_transformer import PromptKeys
from seg_assets.modeling.mask_models.point_weights import (
    KeyProjection,
    convolution_weight,
    stack_rows,
)

_UPSCALE = 4  # low-resolution pixels per token and side


def tokens_inside(input_size: int, square: int, tokens: int) -> int:
    """How many of the first token rows the image's pixels depend on; the same for columns.

    Args:
        input_size: Rows of the model's input that show the image.
        square: Rows of the whole input.
        tokens: Rows of image tokens.
    """
    logits = tokens * _UPSCALE
    # Last input row's place between the centres of two logits: floor((y + 0.5) * scale - 0.5)
    before = ((2 * input_size - 1) * logits - square) // (2 * square)
    touched = min(before + 2, logits)
    return max(-(-touched // _UPSCALE), 1)


class PointUpscaling:
    """Both transposed convolutions and the product with the masks' vectors."""

    def __init__(self, upscaling: nn.Sequential, folded: KeyProjection, dtype: torch.dtype) -> None:
        self._folded = folded
        self._norm = cast(LayerNorm2d, upscaling[1])
        weight, bias = convolution_weight(cast(nn.ConvTranspose2d, upscaling[3]))
        self._weight, self._bias = weight.to(dtype), bias

    def __call__(
        self,
        shared: Tensor,
        keys: PromptKeys,
        vectors: Tensor,
        grid: tuple[int, int],
        inside: tuple[int, int],
    ) -> Tensor:
        """Logits of three masks per prompt.

        Args:
            shared: First convolution of the image's shared part, (C, T).
            keys: Of N prompts.
            vectors: Of the masks, (N, 3, C / 8) float32.
            grid: Rows and columns of the tokens.
            inside: Rows and columns of the tokens to upscale.

        Returns:
            (N, 3, 4 x rows, 4 x columns) float32.
        """
        assert keys.scale is not None
        dtype = shared.dtype
        rows, columns = inside

        def crop(by_token: Tensor) -> Tensor:
            return by_token.unflatten(-1, grid)[..., :rows, :columns].flatten(-2)

        basis = stack_rows(self._folded.rows, keys.values)  # (N, M, C)
        x = torch.bmm(basis.transpose(1, 2).to(dtype), crop(keys.rows)).float()
        image_part = crop(shared).float()
        if keys.spread is not None:
            image_part = crop(keys.spread)[:, None] * image_part
        x = crop(keys.scale)[:, None] * (x + image_part) + self._folded.fixed[:, None]
        x = normalise_and_activate(x.unflatten(1, (4, -1)), self._norm).to(dtype)
        x = torch.matmul(self._weight, x).float() + self._bias[:, None]  # (N, 4, 4 x C / 8, T)
        x = functional.gelu(x).unflatten(2, (4, -1)).to(dtype)  # (N, 4, 4, C / 8, T)
        x = torch.einsum("nmc,npqct->nmpqt", vectors.to(dtype), x).float()
        # both subpixel indices are (row, column): (N, 3, 2, 2, 2, 2, rows, columns)
        x = x.reshape(*x.shape[:2], 2, 2, 2, 2, rows, columns).permute(0, 1, 6, 2, 4, 7, 3, 5)
        return x.reshape(*x.shape[:2], _UPSCALE * rows, _UPSCALE * columns)
