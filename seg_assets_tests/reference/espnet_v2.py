"""ESPNetv2 for Cityscapes, read from its published weights; see `espnet`.

Written from the papers (Mehta et al., ESPNetv2, CVPR 2019; Mehta et al., DiCENet, PAMI 2020, whose
appendix has the decoder) and the names and shapes of the weights, from which all widths are taken.
"""

from collections.abc import Mapping
from math import ceil, gcd
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.labels.segmentors.protocol import Segmentation

BRANCHES = 4  # of each pyramid, and groups of its pointwise convolutions
# Dilations of a level's branches, so that no receptive field is larger than the level deserves.
WIDE, NARROW = (1, 2, 3, 4), (1, 1, 2, 3)
SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)  # at which the decoder looks at its features
LEAST_SIDE = 5

# ImageNet's mean and deviation, of pixels from 0 to 1.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class Conv(nn.Module):
    """A convolution without bias, then, where asked for, batch norm and PReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        *,
        norm: bool = True,
        act: bool = True,
    ):
        super().__init__()
        padding = (kernel - 1) // 2 * dilation
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding, dilation, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.act = nn.PReLU(outputs) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class NormAct(nn.Module):
    """Batch norm and PReLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class Eesp(nn.Module):
    """Extremely efficient spatial pyramid: depthwise convolutions of four dilations, added up."""

    def __init__(self, inputs: int, outputs: int, dilations: tuple[int, ...], stride: int = 1):
        super().__init__()
        width = outputs // BRANCHES
        self.stride = stride
        self.proj_1x1 = Conv(inputs, width, 1, groups=BRANCHES)
        self.spp_dw = nn.ModuleList(
            Conv(width, width, 3, stride, width, dilation, norm=False, act=False)
            for dilation in dilations
        )
        self.conv_1x1_exp = Conv(outputs, outputs, 1, groups=BRANCHES, act=False)
        self.br_after_cat = NormAct(outputs)
        self.module_act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.proj_1x1(x)
        parts = [self.spp_dw[0](reduced)]
        for branch in self.spp_dw[1:]:
            parts.append(parts[-1] + branch(reduced))
        expanded = self.conv_1x1_exp(self.br_after_cat(torch.cat(parts, 1)))
        if self.stride == 2:
            return expanded
        return self.module_act(x + expanded)


class DownSampler(nn.Module):
    """Half the size: the pooled input and a pyramid of it side by side, and the image's colours."""

    def __init__(self, inputs: int, outputs: int, dilations: tuple[int, ...]):
        super().__init__()
        self.eesp = Eesp(inputs, outputs - inputs, dilations, stride=2)
        self.inp_reinf = nn.Sequential(Conv(3, 3, 3), Conv(3, outputs, 1, act=False))
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        pooled = _halve(x)
        while image.shape[2] > pooled.shape[2]:
            image = _halve(image)
        return self.act(torch.cat([pooled, self.eesp(x)], 1) + self.inp_reinf(image))


class Backbone(nn.Module):
    """Features at 1/2, 1/4, 1/8 and 1/16 of the image."""

    def __init__(self, widths: tuple[int, int, int, int]):
        super().__init__()
        one, two, three, four = widths
        self.level1 = Conv(3, one, 3, stride=2)
        self.level2_0 = DownSampler(one, two, WIDE)
        self.level3_0 = DownSampler(two, three, WIDE)
        self.level3 = nn.ModuleList(Eesp(three, three, WIDE) for _ in range(3))
        self.level4_0 = DownSampler(three, four, WIDE)
        self.level4 = nn.ModuleList(Eesp(four, four, NARROW) for _ in range(7))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        half = self.level1(image)
        quarter = self.level2_0(half, image)
        eighth = self.level3_0(quarter, image)
        for block in self.level3:
            eighth = block(eighth)
        sixteenth = self.level4_0(eighth, image)
        for block in self.level4:
            sixteenth = block(sixteenth)
        return half, quarter, eighth, sixteenth


class Shuffle(nn.Module):
    """Mix the channels of the scales, so that each group holds one of every scale."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (len(SCALES), -1)).transpose(1, 2).flatten(1, 2)


class PyramidPool(nn.Module):
    """Depthwise convolutions at five scales, joined."""

    def __init__(self, inputs: int, width: int, outputs: int, *, last: bool):
        super().__init__()
        self.projection_layer = _named(cbr=_conv_norm_act(inputs, width, 1))
        self.stages = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False) for _ in SCALES
        )
        joined = width * len(SCALES)
        self.merge_layer = nn.Sequential(
            _named(br=_norm_act(joined)),
            Shuffle(),
            _named(cbr=_conv_norm_act(joined, width, 3, groups=width)),
            nn.Conv2d(width, outputs, 1, bias=last),
        )
        self.br = None if last else _named(br=_norm_act(outputs))

    def forward(self, x: Tensor) -> Tensor:
        x = self.projection_layer.cbr(x)
        size = x.shape[2:]
        parts = []
        for scale, stage in zip(SCALES, self.stages, strict=True):
            scaled = [max(ceil(side * scale), LEAST_SIDE) for side in size]
            if scale > 1:
                parts.append(functional.adaptive_avg_pool2d(stage(_resize(x, scaled)), size))
            elif scale < 1:
                parts.append(_resize(stage(functional.adaptive_avg_pool2d(x, scaled)), size))
            else:
                parts.append(stage(x))
        joined, shuffle, merge, out = self.merge_layer
        x = out(merge.cbr(shuffle(joined.br(torch.cat(parts, 1)))))
        return x if self.br is None else self.br.br(x)


class Skip(nn.Module):
    """Features of the encoder for the decoder, each channel weighted by the whole image."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.wt_layer = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1, bias=False), nn.Sigmoid()
        )
        groups = gcd(inputs, outputs)
        self.expansion_layer = _named(cbr=_conv_norm_act(inputs, outputs, 3, groups=groups))

    def forward(self, x: Tensor) -> Tensor:
        return self.expansion_layer.cbr(x) * self.wt_layer(x)


class EspNetV2(nn.Module):
    """(B, 3, H, W) -> (B, classes, H, W) logits."""

    def __init__(
        self,
        encoder: tuple[int, int, int, int],
        decoder: tuple[int, int, int, int],
        pool_width: int,
    ):
        super().__init__()
        self.base_net = Backbone(encoder)
        for level in range(1, 5):
            inputs = encoder[3] if level == 1 else decoder[level - 2]
            pool = PyramidPool(inputs, pool_width, decoder[level - 1], last=level == 4)
            self.add_module(f"bu_dec_l{level}", pool)
            if level > 1:
                self.add_module(f"merge_enc_dec_l{level}", Skip(encoder[4 - level], inputs))
                self.add_module(f"bu_br_l{level}", _norm_act(inputs))

    def forward(self, image: Tensor) -> Tensor:
        *skips, deepest = self.base_net(image)
        x = self.get_submodule("bu_dec_l1")(deepest)
        for level, skip in zip((2, 3, 4), reversed(skips), strict=True):
            weighted = self.get_submodule(f"merge_enc_dec_l{level}")(skip)
            x = self.get_submodule(f"bu_br_l{level}")(_resize(x, skip.shape[2:]) + weighted)
            x = self.get_submodule(f"bu_dec_l{level}")(x)
        return _resize(x, image.shape[2:])


def read_espnet_v2(weights: Path) -> EspNetV2:
    """Build the network that fits the weights, and load them strictly."""
    state: Mapping[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
    encoder = tuple(
        len(state[f"base_net.{name}.weight"])
        for name in ("level1.conv", "level2_0.act", "level3_0.act", "level4_0.act")
    )
    decoder = tuple(len(state[f"bu_dec_l{i}.merge_layer.3.weight"]) for i in range(1, 5))
    network = EspNetV2(encoder, decoder, len(state["bu_dec_l1.stages.0.weight"]))
    network.load_state_dict(state, strict=True)
    return network.eval()


class CityscapesEspNetV2:
    """The network as a segmentor of Cityscapes' 19 classes.

    Args:
        weights: The file.
        height: Rows of its input; columns follow, at the image's aspect ratio.
    """

    def __init__(self, weights: Path, height: int = 480):
        self.classes: ClassTable = load_class_table("cityscapes19")
        self.network = read_espnet_v2(weights)
        self.height = height

    @torch.inference_mode()
    def segment(self, image_id: str, image: np.ndarray) -> Segmentation:
        """Logits at the input's size, brought to the image's for the label map."""
        height, width = image.shape[:2]
        size = (round(width * self.height / height), self.height)
        scaled = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        pixels = torch.tensor(scaled).permute(2, 0, 1).float() / 255  # (3, rows, columns)
        mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
        logits = self.network(((pixels - mean) / deviation)[None])[:, : len(self.classes)]
        full = functional.interpolate(logits, (height, width), mode="bilinear")
        return Segmentation(full[0].argmax(0).numpy().astype(np.uint8), logits[0].numpy())


def _named(**parts: nn.Module) -> nn.Module:
    holder = nn.Module()
    for name, part in parts.items():
        holder.add_module(name, part)
    return holder


def _norm_act(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))


def _conv_norm_act(inputs: int, outputs: int, kernel: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.PReLU(outputs),
    )


def _halve(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, 2, 1)


def _resize(x: Tensor, size) -> Tensor:
    return functional.interpolate(x, tuple(size), mode="bilinear", align_corners=True)
