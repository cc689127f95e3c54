import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seg_assets.labels.bilinear import bilinear_taps, resample


def resized(values: np.ndarray, target: int) -> np.ndarray:
    stages = [bilinear_taps(len(values), target)]
    return resample(lambda a, b: values[a:b], stages, 0, target, axis=0)


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


def test_any_part_equals_that_part_of_the_whole():
    values = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    stages = [bilinear_taps(6, 24), bilinear_taps(20, 33)]  # 4 of the 24 are padding, cut off

    def read(a: int, b: int) -> np.ndarray:
        return values[a:b]

    whole = resample(read, stages, 0, 33, axis=0)
    for start in range(33):
        for stop in range(start + 1, 34):
            part = resample(read, stages, start, stop, axis=0)
            np.testing.assert_array_equal(part, whole[start:stop])
