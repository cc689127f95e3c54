"""Bilinear resizing of any part of a large array, one axis at a time.

The same sampling as `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`, but
able to make only the rows that are asked for, so that a full-size result never has to exist.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Taps:
    """Where each target pixel of one axis reads: low * (1 - weight) + high * weight.

    Attributes:
        low: (n,) source index before the target's centre.
        high: (n,) source index after it.
        weight: (n,) float32 share of `high`.
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray


def bilinear_taps(source: int, target: int) -> Taps:
    """Taps that resize an axis of `source` pixels to `target` pixels."""
    position = np.maximum((np.arange(target) + 0.5) * (source / target) - 0.5, 0.0)
    low = np.minimum(position.astype(np.int64), source - 1)
    high = np.minimum(low + 1, source - 1)
    return Taps(low, high, (position - low).astype(np.float32))


def resample(
    read: Callable[[int, int], np.ndarray],
    stages: Sequence[Taps],
    start: int,
    stop: int,
    axis: int,
) -> np.ndarray:
    """Pixels start..stop - 1 of an axis after all resizing stages.

    Args:
        read: gives the source's pixels a..b - 1 along `axis`, float32.
        stages: the resizings in the order in which they happen; a stage may read only the first
            part of the one before it (a crop).
        start: first target pixel.
        stop: one past the last target pixel.
        axis: the axis that is resized.
    """
    if not stages:
        return read(start, stop)
    taps = stages[-1]
    low, high, weight = taps.low[start:stop], taps.high[start:stop], taps.weight[start:stop]
    first, last = int(low[0]), int(high[-1]) + 1
    source = resample(read, stages[:-1], first, last, axis)
    weight = weight.reshape([-1 if i == axis else 1 for i in range(source.ndim)])
    result = np.take(source, high - first, axis=axis)
    below = np.take(source, low - first, axis=axis)
    result -= below
    result *= weight
    result += below
    return result
