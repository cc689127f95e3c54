"""Stored mask logits in bands of image rows, ready for the kernels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from seg_assets.errors import InputError
from seg_assets.labels.bilinear import Arrays, Axis
from seg_assets.labels.logit_kernels import unpacked
from seg_assets.labels.logit_pixels import LANES

# Rows of the image that are worked on together: the logits of 101 queries for 2250 columns then
# take 4 MB as float32. No result depends on it.
ROWS_PER_BAND = 64


@dataclass(frozen=True, eq=False)
class Band:
    """Image rows start..stop - 1, and what they read.

    Attributes:
        start: first row.
        stop: row behind the last.
        width: of the image.
        block: (h, w, K) float32 logits, K padded with zeros.
        rows: taps of these rows into the block.
        columns: taps of the image's columns.
    """

    start: int
    stop: int
    width: int
    block: np.ndarray
    rows: Arrays
    columns: Arrays


def bands(
    mask_logits: np.ndarray,
    padded_size: tuple[int, int],
    input_size: tuple[int, int],
    size: tuple[int, int],
    *,
    first: int = 0,
    last: int | None = None,
) -> Iterator[Band]:
    """Cut an image into bands, from row `first` to the one before `last`.

    Args:
        mask_logits: (K, h, w) float16.
        padded_size: (height, width) of the model's input with its padding.
        input_size: (height, width) of the model's input without it.
        size: (height, width) of the image.
        first: where to begin.
        last: where to end; the image's height if None.

    Raises:
        InputError: the size has no pixels, or sizes contradict each other.
    """
    queries, height, width = mask_logits.shape
    if min(size) < 1 or min(input_size) < 1 or min(height, width, queries) < 1:
        raise InputError(
            f"scores of {size[0]} x {size[1]} pixels were asked for: give a size of 1 at least"
        )
    if padded_size[0] < input_size[0] or padded_size[1] < input_size[1]:
        raise InputError(
            f"logits of an input of {input_size} pixels, padded to {padded_size}, cannot be: "
            "materialise seem_logits again"
        )
    rows = Axis.of(height, padded_size[0], input_size[0], size[0])
    columns = Axis.of(width, padded_size[1], input_size[1], size[1])
    bits = np.ascontiguousarray(mask_logits, np.float16).view(np.uint16)
    left, right = columns.span(0, size[1])
    last = size[0] if last is None else last
    for start in range(first, last, ROWS_PER_BAND):
        stop = min(start + ROWS_PER_BAND, last)
        top, bottom = rows.span(start, stop)
        block = np.zeros((bottom - top, right - left, padded_to_lanes(queries)), np.float32)
        unpacked(bits[:, top:bottom, left:right], float16_values(), block)
        yield Band(
            start, stop, size[1], block, rows.arrays(start, stop), columns.arrays(0, size[1])
        )


def padded_to_lanes(count: int) -> int:
    """The next multiple of `LANES`."""
    return -(-count // LANES) * LANES


@cache
def float16_values() -> np.ndarray:
    """The value of each float16, by its bits: (65536,) float32."""
    return np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
