"""Pixel decoder: a transformer on the coarsest map, then a feature pyramid up to stride 4."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.modeling.seem.config import SeemConfig
from seg_assets.modeling.seem.layers import Attention, ConvNorm, sine_positions


@dataclass(frozen=True)
class PixelFeatures:
    """What the pixel decoder makes of a batch of B images.

    Attributes:
        mask_features: (B, mask_dim, H / 4, W / 4); a mask is their product with an embedding.
        pyramid: maps (B, hidden, h, w) at strides 32, 16, 8, which the query decoder looks at.
        encoded: (B, hidden, H / 32, W / 32), the transformer's output.
    """

    mask_features: Tensor
    pyramid: list[Tensor]
    encoded: Tensor


class EncoderLayer(nn.Module):
    """Post-norm transformer layer; positions are added to queries and keys, not to values."""

    def __init__(self, dim: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """(B, N, C) and (N, C) -> (B, N, C)."""
        placed = x + positions
        x = self.norm1(x + self.self_attn(placed, placed, x))
        return self.norm2(x + self.linear2(F.relu(self.linear1(x))))


class Encoder(nn.Module):
    """The stack of layers; a module of its own because the key names have this level."""

    def __init__(self, dim: int, heads: int, ffn: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(dim, heads, ffn) for _ in range(layers))

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """(B, N, C) and (N, C) -> (B, N, C)."""
        for layer in self.layers:
            x = layer(x, positions)
        return x


class MapTransformer(nn.Module):
    """Transformer over the cells of one map."""

    def __init__(self, dim: int, heads: int, ffn: int, layers: int) -> None:
        super().__init__()
        self.encoder = Encoder(dim, heads, ffn, layers)

    def forward(self, feature_map: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        height, width = feature_map.shape[-2:]
        tokens = feature_map.flatten(2).transpose(1, 2)
        positions = sine_positions(height, width, tokens.shape[-1], tokens.device, tokens.dtype)
        return self.encoder(tokens, positions).transpose(1, 2).unflatten(2, (height, width))


class PixelDecoder(nn.Module):
    """Pixel decoder under upstream's parameter names."""

    def __init__(self, config: SeemConfig) -> None:
        super().__init__()
        dim = config.hidden
        self.input_proj = nn.Conv2d(config.widths[3], dim, 1)
        self.transformer = MapTransformer(dim, config.heads, config.ffn, config.encoder_layers)
        self.layer_4 = ConvNorm(dim, dim, 3)
        for k, width in enumerate(config.widths[:3], start=1):
            self.add_module(f"adapter_{k}", ConvNorm(width, dim, 1))
            self.add_module(f"layer_{k}", ConvNorm(dim, dim, 3))
        self.mask_features = nn.Conv2d(dim, config.mask_dim, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> PixelFeatures:
        """The backbone's four maps, fine to coarse -> `PixelFeatures`."""
        encoded = self.transformer(self.input_proj(maps[3]))
        y = F.relu(self.layer_4(encoded))
        pyramid = [y]
        for k in (3, 2, 1):
            lateral = getattr(self, f"adapter_{k}")(maps[k - 1])
            y = lateral + F.interpolate(y, size=lateral.shape[-2:], mode="nearest")
            y = F.relu(getattr(self, f"layer_{k}")(y))
            pyramid.append(y)
        return PixelFeatures(self.mask_features(y), pyramid[:3], encoded)
