"""Which classes may win somewhere in a box of the image, without looking at its pixels.

A mask logit at a pixel lies between the smallest and the largest of the logits that the box reads,
so each query's sigmoid has bounds, and so has the lead of one class over another. A class that is
behind at every pixel, by more than all rounding together, need not be computed in this box.
"""

import numpy as np
from numba import njit

from seg_assets.labels.logit_pixels import sigmoids, support

# Interpolation leaves the range of what it reads by rounding only: this share of the values.
_WIDER = np.float32(2.0**-20)
# Scores and leads are sums of K products of a sigmoid and a weight of at most 1. Each is off by at
# most (K + 3) * 2^-24 times the sum of the sigmoids; two scores and a lead by three times as much,
# and the sigmoids themselves by a few units more.
_MARGIN = 2.0**-22
_SPARE = 32


@njit(nogil=True)
def find_bounds(block, rows, columns, box, work, least, most):
    """The smallest and the largest sigmoid that each query can have in a box.

    Args:
        block: (h, w, K) float32 mask logits.
        rows: taps of the image's rows into the block.
        columns: taps of its columns.
        box: first row, row behind the last, first column, column behind the last.
        work: from `scratch`.
        least: (K,) float32, filled.
        most: (K,) float32, filled.
    """
    bits, powers, low, high = work
    top, bottom = support(rows, box[0], box[1])
    left, right = support(columns, box[2], box[3])
    for k in range(len(low)):
        low[k] = block[top, left, k]
        high[k] = low[k]
    for row in range(top, bottom):
        for column in range(left, right):
            values = block[row, column]
            for k in range(len(low)):
                low[k] = min(low[k], values[k])
                high[k] = max(high[k], values[k])
    for k in range(len(low)):
        wider = max(abs(low[k]), abs(high[k])) * _WIDER
        low[k] -= wider
        high[k] += wider
    sigmoids(low, bits, powers, least)
    sigmoids(high, bits, powers, most)


@njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def mark_contenders(least, most, weights, places, likely, leads, kept):
    """Mark the classes that may be among the best so many at some pixel of a box.

    Args:
        least: (K,) float32, smallest sigmoids.
        most: (K,) float32, largest sigmoids.
        weights: (C, K) float32 in 0..1.
        places: 1 or 2.
        likely: (C,) float32, used.
        leads: (C,) float32, used.
        kept: (C,) bool, filled.

    Returns:
        How many are marked.
    """
    total = np.float32(0)
    for k in range(len(least)):
        total += most[k]
    margin = total * (len(least) + _SPARE) * _MARGIN
    for c in range(len(weights)):
        row, sum_ = weights[c], np.float32(0)
        for k in range(len(least)):
            sum_ += (least[k] + most[k]) * row[k]
        likely[c] = sum_
    kept[:] = False
    for _ in range(min(places, len(weights))):
        best = likely.argmax()
        likely[best] = -1
        _find_leads(least, most, weights, best, leads)
        for c in range(len(weights)):
            if leads[c] <= margin:
                kept[c] = True
    return kept.sum()


# In any order and fused: the margin covers it.
@njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _find_leads(least, most, weights, best, leads):
    """The lead of the class `best` over each class at the pixel where it is smallest, or less."""
    own = weights[best]
    for c in range(len(weights)):
        row, sum_ = weights[c], np.float32(0)
        for k in range(len(least)):
            lead = own[k] - row[k]
            sum_ += lead * (least[k] if lead > 0 else most[k])
        leads[c] = sum_


@njit(nogil=True)
def gather(weights, kept, chosen, compact):
    """Copy the rows of the marked classes to the front of `compact`, their numbers to `chosen`.

    Args:
        weights: (C, K) float32.
        kept: (C,) bool.
        chosen: (C,) int64.
        compact: (C, K) float32, or more rows.

    Returns:
        How many.
    """
    number = 0
    for c in range(len(kept)):
        if kept[c]:
            chosen[number] = c
            compact[number] = weights[c]
            number += 1
    return number
