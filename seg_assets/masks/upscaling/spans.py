"""Ranges of columns in which a band's pixels must be computed, in Numba."""

from numba import njit

from seg_assets.masks.upscaling.cells import MIXED


@njit(nogil=True)
def find_spans(upper, lower, column0, column1, grid, spans):
    """Columns of the image where a band's pixels must be computed; returns the number of spans."""
    if grid.skips_cells:
        spans[0, 0], spans[0, 1] = grid.first_column[column0], grid.last_column[column1]
        return 1
    count = 0
    s = column0
    while s <= column1:
        if upper[s] != MIXED and lower[s] != MIXED:
            s += 1
            continue
        first = s
        while s <= column1 and (upper[s] == MIXED or lower[s] == MIXED):
            s += 1
        start, end = grid.first_column[first], grid.last_column[s - 1]
        if count > 0 and start <= spans[count - 1, 1]:
            start = spans[count - 1, 1] + 1
        if start <= end:
            spans[count, 0], spans[count, 1] = start, end
            count += 1
    return count


@njit(nogil=True)
def merge_spans(a, count_a, b, count_b, merged):
    """Union of two sorted lists of spans; returns the number of its spans."""
    count = i = j = 0
    while i < count_a or j < count_b:
        if j == count_b or (i < count_a and a[i, 0] <= b[j, 0]):
            start, end = a[i, 0], a[i, 1]
            i += 1
        else:
            start, end = b[j, 0], b[j, 1]
            j += 1
        if count > 0 and start <= merged[count - 1, 1] + 1:
            merged[count - 1, 1] = max(merged[count - 1, 1], end)
        else:
            merged[count, 0], merged[count, 1] = start, end
            count += 1
    return count
