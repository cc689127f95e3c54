"""Run lengths read and painted at the speed of memory, in Numba. Callers check what they pass.

Pixels are numbered down the columns: row y, column x is x * height + y. A mask is a list of ends:
background up to the first, mask up to the second, and so on.
"""

import numpy as np
from numba import njit

_COLUMNS, _ROWS = 64, 16  # of a block that is turned while it lies in the cache
_MOST_DIGITS = 12  # of a number: 60 bits


@njit(cache=True, nogil=True)
def read_counts(text, bounds, pixels, ends, runs):
    """Read the compressed counts of several masks.

    Args:
        text: Counts of one mask after the other, uint8.
        bounds: Where in it each mask begins, then its length, (N + 1,) int64.
        pixels: Height x width of the masks.
        ends: Receives where runs end, as long as `text`, int64; those of mask n begin at
            `bounds[n]`.
        runs: Receives how many runs each mask has, (N,) int64.

    Returns:
        The first mask whose counts are damaged or do not end at `pixels`; -1 if there is none.
    """
    for n in range(len(runs)):
        count, end, before, two_before, value, place = 0, 0, 0, 0, 0, 0
        for i in range(bounds[n], bounds[n + 1]):
            digit = np.int64(text[i]) - 48
            if digit < 0 or digit > 63 or place == _MOST_DIGITS:
                return n
            value += (digit & 31) << (5 * place)
            place += 1
            if digit & 32:
                continue
            if digit & 16:
                value -= np.int64(1) << (5 * place)
            if count > 2:
                value += two_before
            if value < 0 or value > pixels - end:
                return n
            end += value
            ends[bounds[n] + count] = end
            count += 1
            two_before, before, value, place = before, value, 0, 0
        if place != 0 or count == 0 or end != pixels:
            return n
        runs[n] = count
    return -1


@njit(cache=True, nogil=True)
def fill_runs(ends, pixels):
    """Set the pixels of one mask, (height x width,) uint8, to 1; others stay as they are."""
    for i in range(0, len(ends) - 1, 2):
        pixels[ends[i] : ends[i + 1]] = 1


@njit(cache=True, nogil=True)
def paint_over(ends, first, runs, values, picture):
    """Paint masks over a picture, one after the other.

    The picture is turned block by block, so that runs lie in one piece and in the cache.

    Args:
        ends: Where runs of masks end, int64.
        first: Where in it each mask begins, (N,) int64.
        runs: How many runs each mask has, (N,) int64.
        values: What each mask is painted with, (N,) of the picture's type.
        picture: (H, W), C-contiguous; is painted over. H x W is where the runs of masks end.
    """
    height, width = picture.shape
    pixels = np.empty(_COLUMNS * height, picture.dtype)
    position = first.copy()
    for left in range(0, width, _COLUMNS):
        columns = min(_COLUMNS, width - left)
        for top in range(0, height, _ROWS):
            for x in range(columns):
                for y in range(top, min(top + _ROWS, height)):
                    pixels[x * height + y] = picture[y, left + x]
        begin, stop = left * height, (left + columns) * height
        for n in range(len(values)):
            i, last = position[n], first[n] + runs[n]
            while i + 1 < last and ends[i] < stop:
                start, end = max(ends[i], begin) - begin, min(ends[i + 1], stop) - begin
                pixels[start:end] = values[n]
                if ends[i + 1] > stop:
                    break  # the run goes on in the next block
                i += 2
            position[n] = i
        for top in range(0, height, _ROWS):
            for y in range(top, min(top + _ROWS, height)):
                for x in range(columns):
                    picture[y, left + x] = pixels[x * height + y]
