"""Layers of the query decoder; all are residual and normalise afterwards."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.modeling.seem.layers import Attention


class CrossAttentionLayer(nn.Module):
    """Queries read the cells of one level."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, x: Tensor, positions: Tensor, memory: Tensor, places: Tensor, allowed: Tensor
    ) -> Tensor:
        """Read the image once per query.

        The n prompts of an image share its keys and values, so their queries form one long row
        and the image is never copied.

        Args:
            x: (B * n, Q, C).
            positions: (Q, C) or (B * n, Q, C).
            memory: (B, K, C).
            places: (K, C), positions of the memory.
            allowed: (B, n * Q, K) bool.

        Returns:
            (B * n, Q, C).
        """
        rows = (x + positions).reshape(memory.shape[0], -1, x.shape[-1])
        seen = self.multihead_attn(rows, memory + places, memory, allowed[:, None])
        return self.norm(x + seen.reshape(x.shape))

    def read(
        self, x: Tensor, positions: Tensor, keys: Tensor, values: Tensor, allowed: Tensor
    ) -> Tensor:
        """Do as `forward`, with the image's keys and values from `multihead_attn`."""
        rows = (x + positions).reshape(keys.shape[0], -1, x.shape[-1])
        seen = self.multihead_attn.mix(rows, keys, values, allowed[:, None])
        return self.norm(x + seen.reshape(x.shape))


class SelfAttentionLayer(nn.Module):
    """Queries read each other and the tokens of their prompt."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, x: Tensor, positions: Tensor, tokens: Tensor, allowed: Tensor | None
    ) -> Tensor:
        """Read queries and region tokens.

        Nobody reads what a region token would see itself, so tokens are keys and values only. A
        token is its own position, hence its key is twice the token.

        Args:
            x: (N, R, C).
            positions: (N, R, C).
            tokens: (N, P, C).
            allowed: broadcastable to (N, R, R + P) bool, or None.

        Returns:
            (N, R, C).
        """
        rows = x + positions
        keys, values = torch.cat([rows, 2 * tokens], 1), torch.cat([x, tokens], 1)
        mask = None if allowed is None else allowed[:, None]
        return self.norm(x + self.self_attn(rows, keys, values, mask))

    def read(
        self,
        x: Tensor,
        positions: Tensor,
        token_keys: Tensor,
        token_values: Tensor,
        allowed: Tensor | None,
    ) -> Tensor:
        """Do as `forward`, with the tokens' keys and values (N, heads, P, C / heads) made before.

        `allowed` is broadcastable to (N, heads, R, R + P).
        """
        rows = x + positions
        keys, values = self.self_attn.keys_and_values(rows, x)
        mixed = self.self_attn.mix(
            rows, torch.cat([keys, token_keys], 2), torch.cat([values, token_values], 2), allowed
        )
        return self.norm(x + mixed)


class FeedForward(nn.Module):
    """Residual two-layer perceptron and LayerNorm on tokens (..., C)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, hidden)
        self.linear2 = nn.Linear(hidden, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.norm(x + self.linear2(F.relu(self.linear1(x))))


class MaskEmbed(nn.Module):
    """Three linear layers from a query to its mask embedding."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, out)])

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., mask_dim)."""
        return self.layers[2](F.relu(self.layers[1](F.relu(self.layers[0](x)))))
