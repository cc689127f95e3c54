"""SAM's upscaling of keys to masks, for chosen masks and the part of the square with the image."""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling.common import LayerNorm2d

from seg_assets.modeling.mask_models.sam import point_kernels
from seg_assets.modeling.mask_models.sam.point_arithmetic import is_compiled
from seg_assets.modeling.mask_models.sam.point_transformer import PromptKeys
from seg_assets.modeling.mask_models.sam.point_weights import (
    KeyProjection,
    convolution_weight,
    stack_rows,
)

_UPSCALE = 4  # low-resolution pixels per token and side
# Tokens that a CPU upscales together: both convolutions of them fit into the second-level cache.
_TILE = 256
# Its rows lie this much further apart, or they would share few places of the first-level cache.
_PADDING = 16


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
        self._weight, self._bias = convolution_weight(cast(nn.ConvTranspose2d, upscaling[3]))
        self._weight = self._weight.to(dtype)

    def __call__(
        self,
        shared: Tensor,
        keys: PromptKeys,
        vectors: Tensor,
        wanted: Tensor,
        grid: tuple[int, int],
        inside: tuple[int, int],
    ) -> Tensor:
        """Logits of the wanted masks.

        Args:
            shared: First convolution of the image's shared part, (C, T).
            keys: Of N prompts.
            vectors: Of the candidates, (N, 3, C / 8) float32.
            wanted: Which candidates, (N, 3) bool.
            grid: Rows and columns of the tokens.
            inside: Rows and columns of the tokens to upscale.

        Returns:
            (K, 4 x rows, 4 x columns) float32, prompt by prompt.
        """
        rows, columns = inside

        def crop(by_token: Tensor) -> Tensor:
            if columns == grid[1]:
                return by_token[..., : rows * columns]
            return by_token.unflatten(-1, grid)[..., :rows, :columns].flatten(-2)

        basis = stack_rows(self._folded.rows, keys.values)  # (N, M, C)
        by_prompt = crop(keys.rows), crop(keys.spread), crop(keys.scale)
        if is_compiled(shared):
            # whole rows need no copy: the tokens inside come first
            whole = shared if columns == grid[1] else crop(shared).contiguous()
            return self._in_tiles(basis, whole, *by_prompt, vectors, wanted, inside)
        return self._at_once(basis, crop(shared), *by_prompt, vectors, inside)[wanted]

    def _at_once(
        self,
        basis: Tensor,
        shared: Tensor,
        rows: Tensor,
        spread: Tensor,
        scale: Tensor,
        vectors: Tensor,
        inside: tuple[int, int],
    ) -> Tensor:
        """Logits of all candidates, (N, 3, 4 x rows, 4 x columns) float32."""
        dtype, norm = shared.dtype, self._norm
        x = torch.bmm(basis.transpose(1, 2).to(dtype), rows)
        x = scale[:, None] * (x + spread[:, None] * shared) + self._folded.fixed[:, None]
        x = x.unflatten(1, (4, -1))  # (N, 4, C / 4, T)
        x = x - x.mean(2, keepdim=True)
        x = x / (x.square().mean(2, keepdim=True) + norm.eps).sqrt()
        x = functional.gelu(x * norm.weight[:, None] + norm.bias[:, None]).to(dtype)
        x = torch.matmul(self._weight, x) + self._bias[:, None]  # (N, 4, 4 x C / 8, T) float32
        x = functional.gelu(x).unflatten(2, (4, -1)).to(dtype)  # (N, 4, 4, C / 8, T)
        x = torch.einsum("nmc,npqct->nmpqt", vectors.to(dtype), x).float()
        # both subpixels are (row, column): (N, 3, 2, 2, 2, 2, rows, columns)
        x = x.reshape(*x.shape[:2], 2, 2, 2, 2, *inside).permute(0, 1, 6, 2, 4, 7, 3, 5)
        return x.reshape(*x.shape[:2], _UPSCALE * inside[0], _UPSCALE * inside[1])

    def _in_tiles(
        self,
        basis: Tensor,
        shared: Tensor,
        rows: Tensor,
        spread: Tensor,
        scale: Tensor,
        vectors: Tensor,
        wanted: Tensor,
        inside: tuple[int, int],
    ) -> Tensor:
        """Logits of the wanted candidates, a few rows of tokens at a time."""
        columns = inside[1]
        by_tile = max(_TILE // columns, 1)
        width = by_tile * columns
        quarter = self._norm.weight.shape[0]
        first = shared.new_empty(4 * quarter, width + _PADDING)
        second = shared.new_empty(4 * len(self._weight) * width)
        logits = shared.new_empty(int(wanted.sum()), _UPSCALE * inside[0], _UPSCALE * columns)
        places = torch.where(wanted, wanted.flatten().cumsum(0).view_as(wanted) - 1, -1).numpy()
        eps = np.float32(self._norm.eps)
        weight, bias = (t.detach().numpy() for t in (self._norm.weight, self._norm.bias))
        second_bias = self._bias[: vectors.shape[2]].numpy()
        fixed = self._folded.fixed.numpy()
        for prompt in range(len(basis)):
            spreads, scales = spread[prompt].numpy(), scale[prompt].numpy()
            for row in range(0, inside[0], by_tile):
                start = row * columns
                tokens = min(by_tile, inside[0] - row) * columns
                x = first[:, :tokens]
                torch.mm(basis[prompt].T, rows[prompt, :, start : start + tokens], out=x)
                place = (tokens, shared.numpy(), spreads, scales)
                point_kernels.normalise_and_activate(
                    first.numpy(), *place, fixed, weight, bias, eps, start
                )
                y = second[: 4 * len(self._weight) * tokens].view(4, -1, tokens)
                torch.bmm(self._weight.expand(4, -1, -1), x.unflatten(0, (4, quarter)), out=y)
                by_prompt = (vectors[prompt].numpy(), columns, row, logits.numpy(), places[prompt])
                point_kernels.activate_and_multiply(y.numpy(), second_bias, *by_prompt)
        return logits
