"""ESPNet, read from its published weights: a small real segmentation network for tests and numbers.

Written from the paper (Mehta et al., ESPNet: Efficient Spatial Pyramid of Dilated Convolutions,
ECCV 2018, figures 1 and 4) and the names and shapes of the weights; modules are called as there.
Encoder with alpha2 = 2 and alpha3 = 8, the light-weight decoder, CamVid's 11 classes and one more.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from seg_assets.classes.table import IGNORE_ID, ClassTable, load_class_table
from seg_assets.labels.segmentors.protocol import Segmentation

DILATIONS = (1, 2, 4, 8, 16)
EPS = 1e-3  # of all batch norms, as the network was trained

# Of the images that the network was trained on, blue, green, red: ../shared/data/weights/README.md.
MEAN = (108.6, 104.7, 101.1)
DEVIATION = (72.2, 72.8, 70.0)


class Conv(nn.Module):
    """A convolution without bias that keeps the size but for its stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1):
        super().__init__()
        padding = (kernel - 1) // 2 * dilation
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding, dilation=dilation, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class NormAct(nn.Module):
    """Batch norm and PReLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=EPS)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class ConvNormAct(Conv):
    """A convolution, batch norm and PReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__(inputs, outputs, kernel, stride)
        self.bn = nn.BatchNorm2d(outputs, eps=EPS)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class Pyramid(nn.Module):
    """Reduce, convolve with five dilations, add these up step by step, and join.

    Adding up (hierarchical feature fusion) takes away the grid that dilated convolutions leave.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__()
        width = outputs // len(DILATIONS)
        self.c1 = Conv(inputs, width, kernel, stride)
        first = outputs - (len(DILATIONS) - 1) * width
        for dilation in DILATIONS:
            branch = Conv(width, first if dilation == 1 else width, 3, dilation=dilation)
            self.add_module(f"d{dilation}", branch)

    def join(self, x: Tensor) -> Tensor:
        reduced = self.c1(x)
        first, *others = (self.get_submodule(f"d{dilation}")(reduced) for dilation in DILATIONS)
        parts = [first, others[0]]
        for other in others[1:]:
            parts.append(parts[-1] + other)
        return torch.cat(parts, 1)


class DownSampler(Pyramid):
    """A pyramid of half the size."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, kernel=3, stride=2)
        self.bn = nn.BatchNorm2d(outputs, eps=EPS)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.join(x)))


class Esp(Pyramid):
    """A pyramid of the same size, added to its input where the channels allow that."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, kernel=1, stride=1)
        self.bn = NormAct(outputs)
        self.adds_input = inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        joined = self.join(x)
        return self.bn(x + joined if self.adds_input else joined)


class Encoder(nn.Module):
    """Features at a half, a quarter and an eighth of the image."""

    def __init__(self, classes: int, blocks2: int, blocks3: int):
        super().__init__()
        self.level1 = ConvNormAct(3, 16, 3, stride=2)
        self.b1 = NormAct(16 + 3)
        self.level2_0 = DownSampler(16 + 3, 64)
        self.level2 = nn.ModuleList(Esp(64, 64) for _ in range(blocks2))
        self.b2 = NormAct(128 + 3)
        self.level3_0 = DownSampler(128 + 3, 128)
        self.level3 = nn.ModuleList(Esp(128, 128) for _ in range(blocks3))
        self.b3 = NormAct(256)
        self.classifier = Conv(256, classes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = functional.avg_pool2d(x, 3, 2, 1)
        quarter = functional.avg_pool2d(half, 3, 2, 1)
        level1 = self.b1(torch.cat([self.level1(x), half], 1))
        start2 = self.level2_0(level1)
        end2 = start2
        for block in self.level2:
            end2 = block(end2)
        level2 = self.b2(torch.cat([end2, start2, quarter], 1))
        start3 = self.level3_0(level2)
        end3 = start3
        for block in self.level3:
            end3 = block(end3)
        return level1, level2, self.b3(torch.cat([start3, end3], 1))


class EspNet(nn.Module):
    """Encoder and decoder; (B, 3, H, W) -> (B, classes, H, W) logits."""

    def __init__(self, classes: int = 12, blocks2: int = 2, blocks3: int = 8):
        super().__init__()
        self.encoder = Encoder(classes, blocks2, blocks3)
        self.level3_C = Conv(128 + 3, classes, 1)
        self.br = nn.BatchNorm2d(classes, eps=EPS)
        self.conv = ConvNormAct(16 + 3 + classes, classes, 3)
        self.up_l3 = nn.Sequential(_double(classes))
        self.combine_l2_l3 = nn.Sequential(NormAct(2 * classes), Esp(2 * classes, classes))
        self.up_l2 = nn.Sequential(_double(classes), NormAct(classes))
        self.classifier = _double(classes)

    def forward(self, x: Tensor) -> Tensor:
        level1, level2, level3 = self.encoder(x)
        coarse = self.up_l3(self.br(self.encoder.classifier(level3)))
        joined = self.combine_l2_l3(torch.cat([self.level3_C(level2), coarse], 1))
        return self.classifier(self.conv(torch.cat([self.up_l2(joined), level1], 1)))


def _double(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


class CamvidEspNet:
    """The network as a segmentor of CamVid's 11 classes; sides of images must be multiples of 8."""

    def __init__(self, weights: Path):
        self.classes: ClassTable = load_class_table("camvid11")
        self.network = EspNet().eval()
        state = torch.load(weights, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state, strict=True)

    @torch.inference_mode()
    def segment(self, image_id: str, image: np.ndarray) -> Segmentation:
        """No label where the last output, "unlabelled", is the highest; logits of the others."""
        pixels = torch.tensor(image[..., ::-1].copy()).permute(2, 0, 1).float()  # (3, H, W), BGR
        mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
        pixels = (pixels - mean) / deviation / 255
        logits = self.network(pixels[None])[0].numpy()  # (12, H, W)
        best = logits.argmax(0).astype(np.uint8)
        classes = len(self.classes)
        return Segmentation(np.where(best == classes, IGNORE_ID, best), logits[:classes])
