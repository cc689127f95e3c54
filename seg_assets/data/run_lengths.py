"""COCO's compressed run lengths, read with a check that pycocotools does not make.

pycocotools hands out memory as it found it behind run lengths that end too early.
"""

import numpy as np

from seg_assets.errors import InputError


def read_runs(counts: bytes, height: int, width: int) -> np.ndarray:
    """Lengths of the runs down the columns of a mask.

    A run is a chain of characters from 48 ("0") on that carry five bits each, lowest first: bit 5
    says that more follow, bit 4 of the last one is the sign. From the fourth on, a run is written
    as its difference to the run of the same kind before it. Source: rleFrString in the COCO API's
    maskApi.c.

    Args:
        counts: the text in ASCII.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        (N,) int64: background first, then alternating; their sum is height x width.

    Raises:
        InputError: the text is damaged, or the runs do not add up to height x width.
    """
    digits = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    last = (digits & 32) == 0
    valid = len(digits) > 0 and last[-1] and digits.min() >= 0 and digits.max() < 64
    runs = np.zeros(0, np.int64)
    if valid:
        starts = np.flatnonzero(np.concatenate([[True], last[:-1]]))
        place = np.arange(len(digits)) - np.repeat(starts, np.diff(starts, append=len(digits)))
        valid = place.max() < 12  # 60 bits
        shift = 5 * np.minimum(place, 11)
        runs = np.add.reduceat((digits & 31) << shift, starts)
        runs -= np.where(digits[last] & 16, np.int64(32) << shift[last], 0)
        runs[1::2] = np.cumsum(runs[1::2])
        runs[2::2] = np.cumsum(runs[2::2])
    pixels = height * width
    if not valid or runs.min() < 0 or runs.max() > pixels or runs.sum() != pixels:
        raise InputError(
            f"run lengths do not describe a mask of {height} x {width} pixels: "
            "they are damaged or belong to an image of another size"
        )
    return runs


def paint_runs(runs: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask of runs that add up to height x width, (H, W) bool."""
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T
