"""FocalNet backbone: focal modulation, post-norm blocks, layer scale, overlapping steps."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.modeling.seem.config import SeemConfig


class Downsample(nn.Module):
    """Strided convolution, then LayerNorm over the channels."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        # a 7x7 stem wants 2 and a 3x3 step wants 1: half of what the kernel overlaps, rounded up
        padding = (kernel - stride + 1) // 2
        self.proj = nn.Conv2d(in_channels, out_channels, kernel, stride, padding)
        self.norm = nn.LayerNorm(out_channels)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, ceil(H / stride), ceil(W / stride), C')."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.stride, 0, -height % self.stride))
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class FocalModulation(nn.Module):
    """Context from growing windows, gated per position, multiplied onto a query."""

    def __init__(self, dim: int, levels: int, window: int) -> None:
        super().__init__()
        self.dim = dim
        self.levels = levels
        self.f = nn.Linear(dim, 2 * dim + levels + 1)
        self.h = nn.Conv2d(dim, dim, 1)
        self.proj = nn.Linear(dim, dim)
        self.focal_layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(dim, dim, size, padding=size // 2, groups=dim, bias=False), nn.GELU()
            )
            for size in range(window, window + 2 * levels, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        projected = self.f(x).permute(0, 3, 1, 2)
        query, context, gates = projected.split([self.dim, self.dim, self.levels + 1], dim=1)
        gathered = torch.zeros_like(context)
        for level, layer in enumerate(self.focal_layers):
            context = layer(context)
            gathered = gathered + context * gates[:, level : level + 1]
        # the last gate weighs the whole image's context
        everywhere = F.gelu(context.mean(dim=(2, 3), keepdim=True))
        gathered = (gathered + everywhere * gates[:, self.levels :]) / (self.levels + 1)
        return self.proj((query * self.h(gathered)).permute(0, 2, 3, 1))


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.fc2(F.gelu(self.fc1(x)))


class DropPath(nn.Module):
    """In training, leaves a branch out for a random part of the batch (stochastic depth)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C): zero for the part left out, scaled up for the rest."""
        if not self.training or self.rate == 0:
            return branch
        keep = torch.rand(branch.shape[0], 1, 1, 1, device=branch.device) >= self.rate
        return branch * keep / (1 - self.rate)


class FocalBlock(nn.Module):
    """Modulation and MLP, each normalised, scaled per channel and added to its input.

    `adopter_layer` is a place for an adapter on what the modulation gives; see `adapters.py`.
    """

    adopter_layer: nn.Module | None

    def __init__(
        self,
        dim: int,
        *,
        levels: int,
        window: int,
        mlp_ratio: float,
        layer_scale: float,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.modulation = FocalModulation(dim, levels, window)
        self.norm1 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.norm2 = nn.LayerNorm(dim)
        self.gamma_1 = nn.Parameter(torch.full((dim,), layer_scale))
        self.gamma_2 = nn.Parameter(torch.full((dim,), layer_scale))
        self.drop_path = DropPath(drop_path)
        self.register_module("adopter_layer", None)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        modulated = self.modulation(x)
        if self.adopter_layer is not None:
            modulated = self.adopter_layer(modulated)
        x = x + self.drop_path(self.gamma_1 * self.norm1(modulated))
        return x + self.drop_path(self.gamma_2 * self.norm2(self.mlp(x)))


class Stage(nn.Module):
    """Blocks at one resolution, and the step to the next one (none after the last stage)."""

    def __init__(self, blocks: list[FocalBlock], downsample: Downsample | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C) -> the stage's output (B, H, W, C), and what the next stage starts from."""
        for block in self.blocks:
            x = block(x)
        if self.downsample is None:
            return x, x
        return x, self.downsample(x.permute(0, 3, 1, 2))


class FocalNet(nn.Module):
    """Backbone under upstream's parameter names."""

    def __init__(self, config: SeemConfig) -> None:
        super().__init__()
        widths, last = config.widths, len(config.depths) - 1
        self.patch_embed = Downsample(3, widths[0], kernel=7, stride=4)
        blocks = sum(config.depths)
        rates = [config.drop_path * i / max(1, blocks - 1) for i in range(blocks)]
        self.layers = nn.ModuleList()
        for i, (width, depth) in enumerate(zip(widths, config.depths, strict=True)):
            stage = [
                FocalBlock(
                    width,
                    levels=config.focal_levels[i],
                    window=config.focal_windows[i],
                    mlp_ratio=config.mlp_ratio,
                    layer_scale=config.layer_scale,
                    drop_path=rates.pop(0),
                )
                for _ in range(depth)
            ]
            step = None if i == last else Downsample(width, 2 * width, kernel=3, stride=2)
            self.layers.append(Stage(stage, step))
            self.add_module(f"norm{i}", nn.LayerNorm(width))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of an image batch of any size.

        Args:
            images: (B, 3, H, W) float, normalised.

        Returns:
            Four maps (B, C_i, ceil(H / s), ceil(W / s)) at strides s = 4, 8, 16, 32. They are
            normalised copies: the next stage goes on from the tensor before its norm.
        """
        x = self.patch_embed(images)
        maps = []
        for i, stage in enumerate(self.layers):
            result, x = stage(x)
            maps.append(getattr(self, f"norm{i}")(result).permute(0, 3, 1, 2).contiguous())
        return maps
