"""Elementwise steps of the point decoder: in Numba on a CPU in float32, else in torch."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seg_assets.modeling.mask_models.sam import point_kernels

# Tokens whose products with a block's basis stay in a CPU's second-level cache.
_TILE = 1024


class Scratch(threading.local):
    """Memory that a thread fills anew with every batch.

    On a CPU fresh memory costs a page fault per 4 KiB, more than what is done with it; a GPU's
    allocator keeps its own.
    """

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def empty(self, name: str, shape: Sequence[int], like: Tensor) -> Tensor:
        """A tensor of a shape, not filled; what was last called by this name is lost."""
        if like.device.type != "cpu":
            return like.new_empty(shape)
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or held.numel() < size or held.dtype != like.dtype:
            held = self._held[name] = like.new_empty(size)
        return held[:size].view(*shape)


@dataclass(frozen=True, eq=False)
class Scores:
    """Attention scores in parts: scale * (spread * shared + rows) + fixed.

    Attributes:
        fixed: (heads, N, tokens, T).
        shared: (heads, N, tokens, T), or None where `fixed` is all.
        rows: (N, heads, tokens, T), or None likewise.
        spread: (N, T) float32.
        scale: (N, T) float32.
    """

    fixed: Tensor
    shared: Tensor | None
    rows: Tensor | None
    spread: Tensor
    scale: Tensor

    def sum(self) -> Tensor:
        """The scores, (N, heads, tokens, T) float32."""
        fixed = self.fixed.transpose(0, 1).float()
        if self.shared is None or self.rows is None:
            return fixed
        shared = self.spread[:, None, None] * self.shared.transpose(0, 1)
        return self.scale[:, None, None] * (shared + self.rows) + fixed


def is_compiled(tensor: Tensor) -> bool:
    """Whether there are kernels for a tensor's device and type."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32


def weigh_image(scores: Scores) -> tuple[Tensor, Tensor | None]:
    """Softmax over the image, times the factors of the keys' parts; may overwrite the scores.

    Returns:
        Weights of the shared part, (heads, N, tokens, T), and of the rows, (N, heads, tokens, T);
        None where there are none.
    """
    dtype = scores.fixed.dtype
    if scores.shared is None or scores.rows is None:
        return scores.fixed.softmax(-1, dtype=torch.float32).to(dtype), None
    if is_compiled(scores.fixed):
        parts = (scores.fixed, scores.shared, scores.rows, scores.spread, scores.scale)
        point_kernels.weigh_image(*_arrays(*parts, scores.shared, scores.rows))
        return scores.shared, scores.rows
    for_rows = scores.sum().softmax(-1) * scores.scale[:, None, None]
    for_shared = for_rows * scores.spread[:, None, None]
    return for_shared.transpose(0, 1).to(dtype), for_rows.to(dtype)


def weigh_tokens(scores: Scores, out: Tensor, first: int) -> None:
    """Softmax over the tokens; all weights but the last token's are kept.

    Args:
        scores: Of (N, heads, tokens, T).
        out: (N, M, T), written from row `first` on, head by head.
        first: See there.
    """
    heads, prompts, tokens, length = scores.fixed.shape
    if is_compiled(out):
        none = scores.fixed[:, :, :0].contiguous()
        shared = none if scores.shared is None else scores.shared
        rows = none if scores.rows is None else scores.rows
        parts = (scores.fixed, shared, rows, scores.spread, scores.scale, out)
        point_kernels.weigh_tokens(*_arrays(*parts), first=first)
        return
    kept = scores.sum().softmax(2)[:, :, :-1]
    written = out[:, first : first + heads * (tokens - 1)]
    written.copy_(kept.reshape(prompts, heads * (tokens - 1), length))


def sum_squares(
    rows: Tensor,
    gram: Tensor,
    with_shared: Sequence[tuple[Tensor, Tensor]],
    squares: Tensor,
    spread: Tensor,
) -> Tensor:
    """Sum of squares over the channels of centred keys.

    That of a sum: those of the shared part and of the rows, and twice their product.

    Args:
        rows: Coefficients of the basis, (N, M, T) float32.
        gram: Products of the basis vectors with each other, (N, M', M') float32, where M' of the
            rows are in use.
        with_shared: Per block, products of its basis vectors with the shared part: the heads'
            tokens, (heads, N, tokens - 1, T), and the last row, (N, T); float32.
        squares: Sum of squares of the shared part, (T,) float32.
        spread: Factor of the shared part, (N, T) float32.

    Returns:
        (N, T) float32.
    """
    total = spread.square() * squares
    first = 0
    for products, of_last in with_shared:
        heads, prompts, tokens, length = products.shape
        stop = first + heads * tokens + 1
        # products with earlier blocks count twice, so that those with later ones need not be taken
        weights = gram[:, first:stop, :stop].clone()
        weights[:, :, :first] *= 2
        if is_compiled(rows):
            _add_in_tiles(rows, weights, products, of_last, spread, total)
        else:
            others = products.transpose(0, 1).reshape(prompts, stop - first - 1, length)
            image = torch.cat([others, of_last[:, None]], 1)
            with_basis = torch.bmm(weights, rows[:, :stop])
            total += (rows[:, first:stop] * (with_basis + 2 * spread[:, None] * image)).sum(1)
        first = stop
    return total


def _add_in_tiles(
    rows: Tensor,
    weights: Tensor,
    products: Tensor,
    of_last: Tensor,
    spread: Tensor,
    total: Tensor,
) -> None:
    """Add a block's part of `sum_squares`, whose matrix product never leaves the cache."""
    prompts, block, stop = weights.shape
    tile = rows.new_empty(block * _TILE)
    arrays = _arrays(products, of_last, spread, total)
    for prompt in range(prompts):
        for start in range(0, rows.shape[2], _TILE):
            some = rows[prompt, :stop, start : start + _TILE]
            with_basis = tile[: block * some.shape[1]].view(block, -1)
            torch.mm(weights[prompt], some, out=with_basis)
            point_kernels.add_squares(
                rows.numpy(), stop - block, with_basis.numpy(), *arrays, b=prompt, start=start
            )


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    """The kernels' view of tensors, which are C-contiguous but for odd cases."""
    return [tensor.numpy() for tensor in tensors]
