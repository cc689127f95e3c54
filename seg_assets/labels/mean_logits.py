"""Mean over each mask of logits that are scaled bilinearly to its size, without scaling them.

Scaling is linear, so the sum over a mask's pixels is a sum over the logits themselves: each of them
counts as often as the mask's pixels read it (the adjoint of the scaling, applied to the mask).
Those weights come from the ends of the mask's runs alone.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from seg_assets.errors import InputError
from seg_assets.masks.rle import Rle, runs_of


class _Columns(NamedTuple):
    """Column x reads low[x] with low_weight[x] and high[x] with high_weight[x]."""

    low: np.ndarray
    high: np.ndarray
    low_weight: np.ndarray
    high_weight: np.ndarray


class _Rows(NamedTuple):
    """What all rows above y read: see `sum_logits`."""

    row: np.ndarray
    first: np.ndarray
    second: np.ndarray
    totals: np.ndarray


def mean_logits(
    masks: Sequence[Rle], logits: np.ndarray, *, align_corners: bool = False
) -> np.ndarray:
    """Mean of every class's logits over the pixels of each mask: (N, C) float64.

    Args:
        masks: of one image; an empty one has means of nan.
        logits: (C, h, w) float32, at any size.
        align_corners: how they are scaled, as in `torch.nn.functional.interpolate`.

    Raises:
        InputError: the masks differ in size or are damaged, or the logits have another shape or
            are not finite.
    """
    from seg_assets.labels.mean_logits_kernels import sum_logits  # noqa: PLC0415  # Numba

    if logits.ndim != 3 or logits.size == 0 or logits.dtype.kind != "f":
        raise InputError(
            f"logits are (C, h, w) float32 and not empty, not {logits.dtype} of {logits.shape}"
        )
    if not masks:
        return np.zeros((0, len(logits)))
    height, width = masks[0].height, masks[0].width
    runs = runs_of(masks, height, width)
    sums = np.zeros((len(masks), len(logits)))
    areas = np.zeros(len(masks), np.int64)
    if height * width > 0:
        rows = _rows(logits.shape[1], height, align_corners)
        columns = _columns(logits.shape[2], width, align_corners)
        values = np.ascontiguousarray(logits, np.float32)
        sum_logits(*runs, height, rows, columns, values, sums, areas)
    if not np.isfinite(sums).all():
        raise InputError("the logits of a segmentor hold nan or infinity: use another one")
    sums[areas == 0] = np.nan
    return sums / np.maximum(areas, 1)[:, None]


@lru_cache(maxsize=16)
def _columns(source: int, target: int, align_corners: bool) -> _Columns:
    pixels = np.arange(target, dtype=np.float64)
    if align_corners:
        positions = pixels * ((source - 1) / (target - 1) if target > 1 else 0.0)
    else:
        positions = np.maximum((pixels + 0.5) * (source / target) - 0.5, 0.0)
    low = np.minimum(positions.astype(np.int64), source - 1)
    high = np.minimum(low + 1, source - 1)
    weight = np.where(high > low, positions - low, 0.0)
    return _Columns(low, high, 1.0 - weight, weight)


@lru_cache(maxsize=16)
def _rows(source: int, target: int, align_corners: bool) -> _Rows:
    taps = _columns(source, target, align_corners)
    row, first, second = np.zeros(target + 1, np.int64), np.zeros(target + 1), np.zeros(target + 1)
    totals = np.zeros(source)
    for y in range(target):
        totals[taps.low[y]] += taps.low_weight[y]
        totals[taps.high[y]] += taps.high_weight[y]
        row[y + 1], first[y + 1] = taps.low[y], totals[taps.low[y]]
        second[y + 1] = totals[taps.high[y]] if taps.high[y] > taps.low[y] else 0.0
    return _Rows(row, first, second, totals)
