"""Bilinear interpolation along one axis, with torch's indices and weights to the last bit."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seg_assets.modeling.mask_models.frame import MaskFrame


@dataclass(frozen=True, eq=False)
class Axis:
    """Output pixel i is `weight0[i] * input[first[i]] + weight1[i] * input[second[i]]`.

    Attributes:
        first: Input index at or before each output pixel, (N,) int32, ascending.
        second: The one after it, or the same at the end of the input, (N,) int32.
        weight0: Weight of `first`, (N,) float32.
        weight1: Weight of `second`, (N,) float32.
    """

    first: np.ndarray
    second: np.ndarray
    weight0: np.ndarray
    weight1: np.ndarray

    def __len__(self) -> int:
        """Number of output pixels."""
        return len(self.first)

    def cut(self, length: int) -> "Axis":
        """The first output pixels alone."""
        return Axis(*(values[:length] for values in vars(self).values()))


@lru_cache(maxsize=64)
def bilinear_axis(inputs: int, outputs: int) -> Axis:
    """The axis of `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`.

    torch computes positions in float32 with one rounding (a fused multiply-add). In float64 the
    product is exact and the sum's rounding is far below float32's, so one cast gives the same.
    """
    scale = np.float64(np.float32(inputs) / np.float32(outputs))
    centres = np.arange(outputs, dtype=np.float64) + 0.5
    positions = np.maximum((scale * centres - 0.5).astype(np.float32), np.float32(0))
    first = np.minimum(positions.astype(np.int32), np.int32(inputs - 1))
    second = np.minimum(first + 1, np.int32(inputs - 1))
    weight1 = np.clip(positions - first.astype(np.float32), np.float32(0), np.float32(1))
    return Axis(first, second, np.float32(1) - weight1, weight1)


@dataclass(frozen=True, eq=False)
class Scaling:
    """How the logits of one image are brought to its size: two bilinear steps along each axis.

    A frame without the step through the square has a first step that copies.
    """

    to_input_rows: Axis
    to_input_columns: Axis
    to_image_rows: Axis
    to_image_columns: Axis

    @property
    def needed_rows(self) -> int:
        """Rows of the logits that the image depends on."""
        return int(self.to_input_rows.second[-1]) + 1

    @property
    def needed_columns(self) -> int:
        """Columns of the logits that the image depends on."""
        return int(self.to_input_columns.second[-1]) + 1


def scaling_of(frame: MaskFrame) -> Scaling:
    """The two steps of a frame."""
    if frame.through_square:
        middle = frame.input_size
        first = [
            bilinear_axis(length, frame.square).cut(kept)
            for length, kept in zip(frame.logits_size, middle, strict=True)
        ]
    else:
        middle = frame.logits_size
        first = [bilinear_axis(length, length) for length in middle]
    second = [
        bilinear_axis(length, wanted)
        for length, wanted in zip(middle, frame.image_size, strict=True)
    ]
    return Scaling(first[0], first[1], second[0], second[1])
