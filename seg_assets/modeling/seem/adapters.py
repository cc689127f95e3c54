"""Adapters: small trained modules inside a SEEM whose own weights rest.

Two geometries share the places and the key names. "compact" is ours; "upstream" has the modules
and sizes of the published fine-tuning code (its branch `fine-tune`, FocalNet and SEEM decoder).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.errors import InputError
from seg_assets.modeling.seem.adapter_config import AdapterConfig, Init
from seg_assets.modeling.seem.config import SeemConfig
from seg_assets.modeling.seem.decoder import (
    CROSS_ADAPTERS,
    FFN_ADAPTERS,
    HEAD_ADAPTERS,
    SELF_ADAPTERS,
)
from seg_assets.modeling.seem.focalnet import FocalBlock
from seg_assets.modeling.seem.model import DIVISOR, Seem

BLOCK_ADAPTER = "adopter_layer"  # upstream's spelling
LAYER_ADAPTERS = (CROSS_ADAPTERS, SELF_ADAPTERS, FFN_ADAPTERS)
ADAPTER_KEYS = (BLOCK_ADAPTER, *LAYER_ADAPTERS, HEAD_ADAPTERS)
GATE_SHARE = 0.25  # hidden width of upstream's channel gate over its channels


class CompactBlockAdapter(nn.Module):
    """x + up(gelu(around(down(norm(x))))): each cell sees its 3x3 neighbours in few channels."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.down = nn.Linear(dim, width)
        self.around = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.up = nn.Linear(width, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        y = self.around(self.down(self.norm(x)).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + self.up(F.gelu(y))


class UpstreamBlockAdapter(nn.Module):
    """Channel gate, then a strided and a transposed convolution, added and normalised.

    25.5 C^2 + 2 C parameters. Never the identity, as the closing LayerNorm rescales its input.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = int(dim * GATE_SHARE)
        self.gate_down = nn.Linear(dim, hidden, bias=False)
        self.gate_up = nn.Linear(hidden, dim, bias=False)
        self.down = nn.Conv2d(dim, dim, 3, stride=2, padding=1, bias=False)
        self.up = nn.ConvTranspose2d(dim, dim, 4, stride=2, padding=1, bias=False)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C).

        Raises:
            InputError: H or W is odd.
        """
        height, width = x.shape[1:3]
        if height % 2 or width % 2:
            raise InputError(
                f"upstream's backbone adapters cannot take a feature map of {width}x{height} "
                "cells: give images whose sides are multiples of 64, or use compact adapters"
            )
        gate = self.gate_up(F.relu(self.gate_down(x.mean(dim=(1, 2))))).sigmoid()
        x = x * gate[:, None, None]
        y = F.relu(self.up(F.relu(self.down(x.permute(0, 3, 1, 2)))))
        return self.norm(x + y.permute(0, 2, 3, 1))


class Bottleneck(nn.Module):
    """Two linear layers with few channels between; upstream has ReLU and no norm, ours both."""

    def __init__(self, dim: int, width: int, out: int, *, norm: bool, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim) if norm else None
        self.down = nn.Linear(dim, width)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., out)."""
        if self.norm is not None:
            x = self.norm(x)
        return self.up(self.dropout(F.relu(self.down(x))))


class LayerAdapter(Bottleneck):
    """Added to the tokens that a part of a decoder layer gives."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return x + super().forward(x)


class UpstreamHeadAdapter(nn.Module):
    """LayerNorm, bottleneck, a scalar on it, LayerNorm; added to the mask embedding."""

    def __init__(self, dim: int, *, dropout: float) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(dim)
        self.bottleneck = Bottleneck(dim, dim // 2, dim, norm=False, dropout=dropout)
        self.scale = nn.Parameter(torch.ones(1))
        self.norm_out = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.norm_out(self.scale * self.bottleneck(self.norm_in(x)))


def attach_adapters(model: Seem, config: AdapterConfig) -> None:
    """Put adapters into a model, in place; its other weights and their keys stay as they are.

    Args:
        model: without adapters.
        config: which, where and how they start; random ones come from torch's global generator.

    Raises:
        InputError: the model has adapters, or its sizes do not go with upstream's head adapters.
    """
    if adapter_names(model):
        raise InputError("the model has adapters already: detach them before attaching others")
    device = model.device
    if config.backbone:
        for block in _blocks(model):
            dim = block.modulation.dim
            if config.geometry == "upstream":
                # never zero: through the ReLU behind its last layer no gradient would come back
                adapter = _started(UpstreamBlockAdapter(dim), "kaiming_fan_out")
            else:
                adapter = _started(CompactBlockAdapter(dim, config.backbone_width), config.init)
            block.adopter_layer = adapter.to(device)
        model.divisor = config.size_divisor
    if config.decoder:
        layers = len(model.predictor.transformer_ffn_layers)
        for name in LAYER_ADAPTERS:
            adapters = [_layer_adapter(model.config, config) for _ in range(layers)]
            setattr(model.predictor, name, nn.ModuleList(adapters).to(device))
        heads = [_head_adapter(model.config, config) for _ in range(layers + 1)]
        setattr(model.predictor, HEAD_ADAPTERS, nn.ModuleList(heads).to(device))


def detach_adapters(model: Seem) -> None:
    """Take all adapters out of a model, in place; without any nothing happens."""
    model.divisor = DIVISOR
    for block in _blocks(model):
        block.adopter_layer = None
    for name in (*LAYER_ADAPTERS, HEAD_ADAPTERS):
        setattr(model.predictor, name, None)


def adapter_names(model: nn.Module) -> set[str]:
    """Names of the parameters that belong to adapters."""
    return {
        name for name, _ in model.named_parameters() if set(name.split(".")) & set(ADAPTER_KEYS)
    }


def _layer_adapter(sizes: SeemConfig, config: AdapterConfig) -> nn.Module:
    ours = config.geometry == "compact"
    width = config.decoder_width if ours else sizes.hidden // 2
    adapter = LayerAdapter(sizes.hidden, width, sizes.hidden, norm=ours, dropout=config.dropout)
    return _started(adapter, config.init)


def _head_adapter(sizes: SeemConfig, config: AdapterConfig) -> nn.Module:
    if config.geometry == "compact":
        width, out = config.decoder_width, sizes.mask_dim
        adapter = Bottleneck(sizes.hidden, width, out, norm=True, dropout=config.dropout)
        return _started(adapter, config.init)
    if sizes.hidden != sizes.mask_dim:
        raise InputError(
            f"upstream's head adapters need mask embeddings as wide as the queries, not "
            f"{sizes.mask_dim} and {sizes.hidden}: use compact adapters"
        )
    return _started(UpstreamHeadAdapter(sizes.hidden, dropout=config.dropout), config.init)


def _started(adapter: nn.Module, init: Init) -> nn.Module:
    """Set the start values: Kaiming-normal over the outputs, and the last layer zero if wanted."""
    for name, module in adapter.named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        if init == "zero" and name.rsplit(".", 1)[-1] == "up":
            nn.init.zeros_(module.weight)
    return adapter


def _blocks(model: Seem) -> list[FocalBlock]:
    return [module for module in model.backbone.modules() if isinstance(module, FocalBlock)]
