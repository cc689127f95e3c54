import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seg_assets.labels.bilinear import Axis, bilinear_taps


def read(values: np.ndarray, low, high, weight) -> np.ndarray:
    weight = weight.reshape(-1, *[1] * (values.ndim - 1))
    return values[low] + (values[high] - values[low]) * weight


def resized(values: np.ndarray, target: int) -> np.ndarray:
    taps = bilinear_taps(len(values), target)
    return read(values, taps.low, taps.high, taps.weight)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (2, 4, [0.0, 0.25, 0.75, 1.0]),
        (4, 2, [0.5, 2.5]),
        (3, 3, [0.0, 1.0, 2.0]),
        (1, 3, [0.0, 0.0, 0.0]),
        (5, 1, [2.0]),
    ],
)
def test_small_axes(source, target, expected):
    values = np.arange(source, dtype=np.float32)
    np.testing.assert_allclose(resized(values, target), expected, atol=1e-7)


@pytest.mark.parametrize(("source", "target"), [(24, 96), (96, 90), (90, 181), (376, 1504), (7, 3)])
def test_it_samples_as_torch_does(source, target):
    """Tolerance: torch finds its positions in float32, good to 1e-4 of a pixel at 1500 pixels."""
    values = np.random.default_rng(0).normal(size=(source, 5)).astype(np.float32)
    expected = F.interpolate(
        torch.from_numpy(values.T[None]), size=target, mode="linear", align_corners=False
    )
    np.testing.assert_allclose(resized(values, target), expected[0].numpy().T, atol=5e-4)


@pytest.mark.parametrize(
    ("logits", "padded", "kept", "wanted"),
    [(6, 24, 20, 33), (6, 24, 20, 20), (4, 16, 13, 5), (1, 4, 1, 1)],
)
def test_any_part_of_an_axis_equals_that_part_of_the_whole(logits, padded, kept, wanted):
    values = np.random.default_rng(1).normal(size=(logits, 3)).astype(np.float32)
    enlarged = resized(values, padded)[:kept]  # the rest is padding, cut off
    whole = enlarged if kept == wanted else resized(enlarged, wanted)
    axis = Axis.of(logits, padded, kept, wanted)
    for start in range(wanted):
        for stop in range(start + 1, wanted + 1):
            first, last = axis.span(start, stop)
            arrays = axis.arrays(start, stop)
            used = np.unique(np.concatenate([arrays[3], arrays[4]]))
            part = values[first:last]
            between = np.full((padded, 3), np.nan, np.float32)
            between[used] = read(part, *(array[used] for array in arrays[:3]))
            np.testing.assert_array_equal(read(between, *arrays[3:]), whole[start:stop])
