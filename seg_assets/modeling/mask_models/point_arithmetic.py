"""Elementwise steps of the point decoder."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling.common import LayerNorm2d


@dataclass(frozen=True, eq=False)
class Scores:
    """Attention scores in parts: scale * (spread * shared + rows) + fixed.

    Attributes:
        fixed: (heads, N, tokens, T).
        shared: (heads, N, tokens, T), or None where `fixed` is all.
        rows: (N, heads, tokens, T), or None likewise.
        spread: (N, T) float32; None for one.
        scale: (N, T) float32, or None likewise.
    """

    fixed: Tensor
    shared: Tensor | None
    rows: Tensor | None
    spread: Tensor | None
    scale: Tensor | None

    def sum(self) -> Tensor:
        """The scores, (N, heads, tokens, T) float32."""
        fixed = self.fixed.transpose(0, 1).float()
        if self.shared is None or self.rows is None or self.scale is None:
            return fixed
        shared = self.shared.transpose(0, 1).float()
        if self.spread is not None:
            shared = self.spread[:, None, None] * shared
        return self.scale[:, None, None] * (shared + self.rows) + fixed


def weigh_image(scores: Scores) -> tuple[Tensor, Tensor | None]:
    """Softmax over the image, times the factors of the keys' parts.

    Returns:
        Weights of the shared part, (heads, N, tokens, T), and of the rows, (N, heads, tokens, T).
    """
    dtype = scores.fixed.dtype
    weights = scores.sum().softmax(-1)
    if scores.scale is None:
        return weights.transpose(0, 1).to(dtype), None
    for_rows = weights * scores.scale[:, None, None]
    for_shared = for_rows if scores.spread is None else for_rows * scores.spread[:, None, None]
    return for_shared.transpose(0, 1).to(dtype), for_rows.to(dtype)


def weigh_tokens(scores: Scores, out: Tensor) -> None:
    """Softmax over the tokens; all but the last token's weights go to (N, heads, tokens - 1, T)."""
    out.copy_(scores.sum().softmax(2)[:, :, :-1])


def inverse_deviation(
    rows: Tensor,
    with_basis: Tensor,
    with_shared: Tensor,
    squares: Tensor,
    spread: Tensor | None,
    channels: int,
    eps: float,
) -> Tensor:
    """One over the deviation of centred keys.

    Args:
        rows: Coefficients of the basis, (N, M, T) float32.
        with_basis: Products of the basis vectors with the keys' sum over the basis, (N, M, T).
        with_shared: Products of the basis vectors with the shared part, (N, M, T) float32.
        squares: Sum of squares of the shared part, (T,) float32.
        spread: Factor of the shared part, (N, T) float32; None for one.
        channels: Channels of the keys.
        eps: Added to the variance.

    Returns:
        (N, T) float32.
    """
    factor = 1 if spread is None else spread
    within = (rows * with_basis).sum(1)
    between = 2 * factor * (rows * with_shared).sum(1)
    total = within + between + factor * factor * squares
    return (total.clamp_(min=0) / channels + eps).rsqrt()


def normalise_and_activate(x: Tensor, norm: LayerNorm2d) -> Tensor:
    """Layer norm over the channels, then GELU: (N, 4, C, T), float32 statistics."""
    wide = x.float()
    centred = wide - wide.mean(2, keepdim=True)
    deviation = (centred.square().mean(2, keepdim=True) + norm.eps).sqrt()
    scaled = centred / deviation * norm.weight[:, None] + norm.bias[:, None]
    return functional.gelu(scaled).to(x.dtype)
