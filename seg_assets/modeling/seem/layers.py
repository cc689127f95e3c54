"""Parts shared by the text encoder, the pixel decoder and the query decoder."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.modeling.seem.config import GROUPS


class Attention(nn.Module):
    """Multi-head attention, batch first, under the packed parameter names of torch's own."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        allowed: Tensor | None = None,
        *,
        causal: bool = False,
    ) -> Tensor:
        """Mix values into queries.

        Args:
            query: (B, Q, C).
            key: (B, K, C).
            value: (B, K, C).
            allowed: bool, broadcastable to (B, heads, Q, K); True means "may look at".
            causal: each position looks at itself and what precedes it.

        Returns:
            (B, Q, C).
        """
        keys, values = self.keys_and_values(key, value)
        return self.mix(query, keys, values, allowed, causal=causal)

    def keys_and_values(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """What is looked at, per head: (B, K, C) twice -> (B, heads, K, C / heads) twice.

        Many queries that come one after the other may share them.
        """
        return self._heads(key, 1), self._heads(value, 2)

    def mix(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        allowed: Tensor | None = None,
        *,
        causal: bool = False,
    ) -> Tensor:
        """Mix values into queries, as `forward`, with keys and values from `keys_and_values`."""
        mixed = F.scaled_dot_product_attention(
            self._heads(query, 0), keys, values, attn_mask=allowed, is_causal=causal
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor, part: int) -> Tensor:
        """Project (B, N, C) by one of the three packed parts: (B, heads, N, C / heads)."""
        weight, bias = self.in_proj_weight.chunk(3)[part], self.in_proj_bias.chunk(3)[part]
        return F.linear(x, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)


class ConvNorm(nn.Conv2d):
    """Convolution without bias followed by GroupNorm; the norm is a child of the convolution."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(GROUPS, out_channels)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        return self.norm(super().forward(input))


def sine_positions(
    height: int,
    width: int,
    dim: int,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Position code of a grid: half of the channels for the row, then half for the column.

    Coordinates are 1..N over N, times 2 pi; even channels hold sines, odd ones cosines.

    Returns:
        (height * width, dim), values in -1..1, row by row.
    """
    half = dim // 2
    index = torch.arange(half, device=device)
    period = 10000 ** (2 * torch.div(index, 2, rounding_mode="floor") / half)

    def axis(count: int) -> Tensor:
        steps = torch.arange(1, count + 1, device=device, dtype=torch.float32)
        angle = (steps / (count + 1e-6) * 2 * math.pi)[:, None] / period
        return torch.where(index % 2 == 0, angle.sin(), angle.cos())

    rows = axis(height)[:, None].expand(height, width, half)
    columns = axis(width)[None].expand(height, width, half)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1).to(dtype)


def unit(x: Tensor) -> Tensor:
    """Vectors (..., C) at length one; the zero vector stays zero."""
    return x / (x.norm(dim=-1, keepdim=True) + 1e-7)


def full_precision(x: Tensor) -> Tensor:
    """Half-precision results of autocast as float32; float32 and float64 unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
