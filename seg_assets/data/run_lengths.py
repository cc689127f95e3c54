"""COCO's compressed run lengths, read with a check that pycocotools does not make.

pycocotools hands out memory as it found it behind run lengths that end too early.

A run is a chain of characters from 48 ("0") on that carry five bits each, lowest first: bit 5 says
that more follow, bit 4 of the last one is the sign. From the fourth on, a run is written as its
difference to the run of the same kind before it. Source: rleFrString in the COCO API's maskApi.c.

The kernels are imported where they are called: definitions load without Numba.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seg_assets.errors import InputError

_CACHE_LINE = 64  # bytes
_COLUMNS = 64  # that are turned and painted together


class MaskRuns(NamedTuple):
    """The runs of several masks of one size, down their columns.

    Attributes:
        ends: Pixels after the last of each run, int64. Row y, column x is pixel x * height + y.
        first: Where in `ends` each mask begins, (N,) int64.
        runs: How many runs each mask has, (N,) int64: background first, then alternating.
    """

    ends: np.ndarray
    first: np.ndarray
    runs: np.ndarray

    def of(self, mask: int) -> np.ndarray:
        """Ends of the runs of one mask, a view."""
        return self.ends[self.first[mask] : self.first[mask] + self.runs[mask]]

    def pick(self, masks: Sequence[int] | np.ndarray) -> "MaskRuns":
        """Some of the masks, in this order."""
        index = np.asarray(masks, np.int64)
        return MaskRuns(self.ends, self.first[index], self.runs[index])


def read_mask_runs(texts: Sequence[bytes], height: int, width: int) -> MaskRuns:
    """Read the compressed counts of masks of one size.

    Args:
        texts: in ASCII, one per mask.
        height: rows of the masks.
        width: columns of the masks.

    Raises:
        InputError: a text is damaged, or its runs do not add up to height x width.
    """
    from seg_assets.data.run_kernels import read_counts  # noqa: PLC0415

    bounds = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=bounds[1:])
    ends = np.empty(bounds[-1], np.int64)
    runs = np.zeros(len(texts), np.int64)
    text = np.frombuffer(b"".join(texts), np.uint8)
    pixels = height * width
    # more pixels than int64 can count are those of no mask
    damaged = read_counts(text, bounds, pixels, ends, runs) if pixels < 2**63 else 0
    if damaged >= 0:
        which = f" of mask {damaged}" if len(texts) > 1 else ""
        raise InputError(
            f"run lengths{which} do not describe a mask of {height} x {width} pixels: "
            "they are damaged or belong to an image of another size"
        )
    return MaskRuns(ends, bounds[:-1], runs)


def read_ends(counts: bytes, height: int, width: int) -> np.ndarray:
    """Where the runs of one mask end: (N,) int64, ascending, background first.

    Raises:
        InputError: the text is damaged, or the runs do not add up to height x width.
    """
    return read_mask_runs([counts], height, width).of(0)


def read_runs(counts: bytes, height: int, width: int) -> np.ndarray:
    """Lengths of the runs down the columns of a mask.

    Args:
        counts: the text in ASCII.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        (N,) int64: background first, then alternating; their sum is height x width.

    Raises:
        InputError: the text is damaged, or the runs do not add up to height x width.
    """
    return np.diff(read_ends(counts, height, width), prepend=0)


def paint_runs(runs: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask of runs that add up to height x width, (H, W) bool, stored column by column."""
    return paint_ends(np.cumsum(runs), height, width)


def paint_ends(ends: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask whose runs end there, (H, W) bool, stored column by column.

    Raises:
        ValueError: the ends do not ascend to height x width.
    """
    from seg_assets.data.run_kernels import fill_runs  # noqa: PLC0415

    if len(ends) == 0 or ends[-1] != height * width or (np.diff(ends, prepend=0) < 0).any():
        raise ValueError(f"ends of runs must ascend to {height} x {width}")
    pixels = np.zeros(height * width, np.uint8)
    fill_runs(ends, pixels)
    return pixels.view(np.bool_).reshape(width, height).T


def paint_masks(masks: MaskRuns, values: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Paint masks over a picture, in their order.

    Args:
        masks: of the picture's size, as `read_mask_runs` gives them.
        values: what each mask is painted with, (N,) uint8.
        picture: (H, W) uint8; stays as it is.

    Returns:
        (H, W) uint8, C-contiguous.

    Raises:
        ValueError: the arrays do not fit together.
    """
    from seg_assets.data.run_kernels import paint_over  # noqa: PLC0415

    if (
        picture.ndim != 2
        or picture.dtype != np.uint8
        or values.dtype != np.uint8
        or values.shape != masks.first.shape
        or (masks.ends[masks.first + masks.runs - 1] != picture.size).any()
    ):
        raise ValueError("masks, values and picture do not fit together")
    height, width = picture.shape
    if picture.size == 0:
        return picture.copy()
    # The kernel turns squares of 8 x 8 pixels. Columns an odd number of cache lines apart do not
    # compete for the same places in the cache.
    padded = np.empty((-(-height // 8) * 8, -(-width // 8) * 8), np.uint8)
    padded[:height, :width] = picture
    turned = np.empty((_COLUMNS, (-(-height // _CACHE_LINE) | 1) * _CACHE_LINE), np.uint8)
    paint_over(masks.ends, masks.first, masks.runs, values, height, padded, turned)
    return np.ascontiguousarray(padded[:height, :width])
