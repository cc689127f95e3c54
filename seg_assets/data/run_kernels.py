"""Run lengths read and painted at the speed of memory, in Numba. Callers check what they pass.

Pixels are numbered down the columns: row y, column x is x * height + y. A mask is a list of ends:
background up to the first, mask up to the second, and so on.
"""

import numpy as np
from numba import njit

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


@njit(cache=True, nogil=True, inline="always")
def _swap(a, b, shift, part):
    """Exchange the upper parts of one word's groups of bytes for the lower parts of another's."""
    changed = ((a >> shift) ^ b) & part
    return a ^ (changed << shift), b ^ changed


@njit(cache=True, nogil=True)
def _turn(source, row, word, target, column, place):
    """Write 8 x 8 bytes that lie in 8 words of one array turned into 8 words of another.

    Byte j of word source[row + i, word] becomes byte i of target[column + j, place].
    """
    a, b, c, d = (
        source[row, word],
        source[row + 1, word],
        source[row + 2, word],
        source[row + 3, word],
    )
    e, f, g, h = (
        source[row + 4, word],
        source[row + 5, word],
        source[row + 6, word],
        source[row + 7, word],
    )
    shift, part = np.uint64(32), np.uint64(0x00000000FFFFFFFF)
    a, e = _swap(a, e, shift, part)
    b, f = _swap(b, f, shift, part)
    c, g = _swap(c, g, shift, part)
    d, h = _swap(d, h, shift, part)
    shift, part = np.uint64(16), np.uint64(0x0000FFFF0000FFFF)
    a, c = _swap(a, c, shift, part)
    b, d = _swap(b, d, shift, part)
    e, g = _swap(e, g, shift, part)
    f, h = _swap(f, h, shift, part)
    shift, part = np.uint64(8), np.uint64(0x00FF00FF00FF00FF)
    a, b = _swap(a, b, shift, part)
    c, d = _swap(c, d, shift, part)
    e, f = _swap(e, f, shift, part)
    g, h = _swap(g, h, shift, part)
    target[column, place], target[column + 1, place] = a, b
    target[column + 2, place], target[column + 3, place] = c, d
    target[column + 4, place], target[column + 5, place] = e, f
    target[column + 6, place], target[column + 7, place] = g, h


@njit(cache=True, nogil=True)
def paint_over(ends, first, runs, values, height, picture, turned):
    """Paint masks over a picture, one after the other.

    The picture is turned block by block, so that runs lie in one piece and in the cache.

    Args:
        ends: Where runs of masks end, int64.
        first: Where in it each mask begins, (N,) int64.
        runs: How many runs each mask has, (N,) int64.
        values: What each mask is painted with, (N,) uint8.
        height: Rows of the masks.
        picture: (H, W) uint8, C-contiguous; is painted over. H and W are those of the masks or
            more, multiples of 8.
        turned: A buffer for some columns of the picture, (columns, rows) uint8, C-contiguous; both
            multiples of 8, rows at least H.
    """
    words, columns_as_words = picture.view(np.uint64), turned.view(np.uint64)
    pixels, stride = turned.reshape(-1), turned.shape[1]
    position = first.copy()
    for left in range(0, picture.shape[1], len(turned)):
        right = min(left + len(turned), picture.shape[1])
        for y in range(0, len(picture), 8):
            for x in range(left, right, 8):
                _turn(words, y, x // 8, columns_as_words, x - left, y // 8)
        begin, stop = left * height, right * height
        for n in range(len(values)):
            i, last = position[n], first[n] + runs[n]
            while i + 1 < last and ends[i] < stop:
                start, end = max(ends[i], begin) - begin, min(ends[i + 1], stop) - begin
                if start < end:
                    # In the buffer columns are longer; what follows them belongs to nobody.
                    start += start // height * (stride - height)
                    end += (end - 1) // height * (stride - height)
                    pixels[start:end] = values[n]
                if ends[i + 1] > stop:
                    break  # the run goes on in the next block
                i += 2
            position[n] = i
        for y in range(0, len(picture), 8):
            for x in range(left, right, 8):
                _turn(columns_as_words, x - left, y // 8, words, y, x // 8)
