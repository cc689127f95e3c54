"""Sums of scaled logits over masks, moved to the logits' own size, in Numba.

Callers check what they pass.
"""

import numpy as np
from numba import njit

# Weights are sums of shares of pixels; what is smaller is what rounding leaves of none.
_NOTHING = 1e-10


@njit(cache=True, nogil=True)
def _end_run(sign, x, y, rows, columns, partial, full):
    """Add the weights of a column's pixels above `y` (or take them away, with sign -1).

    Of a source row before the last two that these pixels read, all readers lie above `y`: `full`
    holds how many of them there are, at the row from which on it no longer holds. The last two rows
    have their own weights.
    """
    row, first, second, _ = rows
    low, high, low_weight, high_weight = columns
    r, s, t = row[y], low[x], high[x]
    a, b = sign * low_weight[x], sign * high_weight[x]
    full[r, s] += a
    full[r, t] += b
    partial[r, s] += a * first[y]
    partial[r, t] += b * first[y]
    if second[y] != 0.0:
        partial[r + 1, s] += a * second[y]
        partial[r + 1, t] += b * second[y]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _product(weights, plane, top, spans):
    """Sum of logits times weights, which are not 0 only in a span of columns of each row."""
    total = 0.0
    for i in range(len(spans)):
        left, right = spans[i, 0], spans[i, 1]
        row, values = weights[top + i, left:right], plane[top + i, left:right]
        for s in range(len(row)):
            total += row[s] * values[s]
    return total


@njit(cache=True, nogil=True)
def sum_logits(ends, begin, runs, height, rows, columns, logits, sums, areas):
    """Sum the scaled logits over each mask.

    Args:
        ends: Where runs of masks end, int64.
        begin: Where in it each mask begins, (N,) int64.
        runs: How many runs each mask has, (N,) int64.
        height: Rows of the masks.
        rows: For y = 0 to height, what the rows above y read: the last source row but one, and how
            often that and the next one are read, (height + 1,); and how often each source row is
            read by all, (h,).
        columns: For each column, the two source columns and their weights, (width,).
        logits: (C, h, w) float32.
        sums: Receives the sums, (N, C) float64.
        areas: Receives the masks' pixels, (N,) int64, 0 before.
    """
    _, source_rows, source_columns = logits.shape
    row, _, _, totals = rows
    low, high, _, _ = columns
    partial = np.zeros((source_rows, source_columns))
    full = np.zeros((source_rows, source_columns))
    below = np.zeros(source_columns)
    spans = np.empty((source_rows, 2), np.int64)
    for n in range(len(runs)):
        top, bottom, left, right = source_rows, -1, source_columns, -1
        for i in range(begin[n], begin[n] + runs[n] - 1, 2):
            if ends[i] >= ends[i + 1]:
                continue
            areas[n] += ends[i + 1] - ends[i]
            x, last_x = ends[i] // height, (ends[i + 1] - 1) // height
            y, last_y = ends[i] - x * height, ends[i + 1] - last_x * height
            left, right = min(left, low[x]), max(right, high[last_x])
            while x <= last_x:
                end = last_y if x == last_x else height
                top, bottom = min(top, row[y]), max(bottom, row[end] + 1)
                _end_run(-1.0, x, y, rows, columns, partial, full)
                _end_run(1.0, x, end, rows, columns, partial, full)
                x += 1
                y = 0
        bottom = min(bottom, source_rows - 1)
        if right < left:
            continue
        below[:] = 0.0
        for r in range(bottom, top - 1, -1):
            spans[r, 0], spans[r, 1] = right + 1, left
            for s in range(left, right + 1):
                partial[r, s] += totals[r] * below[s]
                below[s] += full[r, s]
                if partial[r, s] > _NOTHING:
                    spans[r, 0], spans[r, 1] = min(spans[r, 0], s), s + 1
            full[r, left : right + 1] = 0.0
        for c in range(len(logits)):
            sums[n, c] = _product(partial, logits[c], top, spans[top : bottom + 1])
        partial[top : bottom + 1, left : right + 1] = 0.0
