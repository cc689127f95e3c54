"""Which cells of a mask's logits lie on one side of every threshold, in Numba."""

import numpy as np
from numba import njit

# Classes of cells; of the constant ones, those from INSIDE on belong to the mask.
BELOW_LOW, BELOW_THRESHOLD, INSIDE, ABOVE_HIGH, MIXED = range(5)


@njit(nogil=True)
def row_maxima(bits, columns, maxima):
    """Order of each row's greatest value, and the greatest absolute value of all.

    Floats of one sign order like the integers of the same bits, negative ones the other way round.
    Integers are compared because compilers do so many at a time, and not with floats.

    Args:
        bits: The bits of float32 values, (rows, columns) int32.
        columns: How many of the columns count.
        maxima: Receives the order of each row's greatest value, (rows,) int32; see `_order`.

    Returns:
        The greatest absolute value, float32; NaN or infinite if any value is.
    """
    absolute = np.zeros(1, np.int32)
    for r in range(len(maxima)):
        row = bits[r]
        greatest, of_row = np.int32(-0x80000000), np.int32(0)
        for s in range(columns):
            order = _order(row[s])
            greatest = max(greatest, order)
        for s in range(columns):
            without_sign = np.int32(row[s] & np.int32(0x7FFFFFFF))
            of_row = max(of_row, without_sign)
        maxima[r] = greatest
        absolute[0] = max(absolute[0], of_row)
    return absolute.view(np.float32)[0]


@njit(inline="always")
def _order(bits):
    """An integer that is greater where the float of these bits is, int32."""
    return np.int32(bits ^ np.int32((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@njit(nogil=True)
def box_above(logits, columns, maxima, level):
    """First and last row and column with a value of at least `level`; last < first: none.

    Args:
        logits: (rows, columns) float32.
        columns: How many of the columns count.
        maxima: Order of each row's greatest value, (rows,) int32.
        level: float32.
    """
    wanted = np.empty(1, np.float32)
    wanted[0] = level
    least = _order(wanted.view(np.int32)[0])
    row0, row1, column0, column1 = len(maxima), -1, columns, -1
    for r in range(len(maxima)):
        if maxima[r] < least:
            continue
        row = logits[r, :columns]
        row0, row1 = min(row0, r), r
        for s in range(column0):
            if row[s] >= level:
                column0 = s
                break
        for s in range(columns - 1, column1, -1):
            if row[s] >= level:
                column1 = s
                break
    return row0, row1, column0, column1


@njit(nogil=True)
def _classify_row(above, below, thresholds, margin, classes):
    """Classes of the cells between two rows of logits; one column more than there are cells."""
    low, threshold, high = thresholds
    for s in range(len(classes)):
        a, b, c, d = above[s], above[s + 1], below[s], below[s + 1]
        least = min(a, b, c, d)
        greatest = max(a, b, c, d)
        kind = np.uint8(MIXED)
        if least > low + margin and greatest < threshold - margin:
            kind = np.uint8(BELOW_THRESHOLD)
        if least > threshold + margin and greatest < high - margin:
            kind = np.uint8(INSIDE)
        if least > high + margin:
            kind = np.uint8(ABOVE_HIGH)
        if greatest < low - margin:
            kind = np.uint8(BELOW_LOW)
        classes[s] = kind


@njit(nogil=True)
def classify(logits, box, thresholds, margin, classes):
    """Classes of the cells in a box, and of those round it, which are below all thresholds."""
    row0, row1, column0, column1 = box
    rows, columns = classes.shape
    around = classes[max(row0 - 1, 0) : row1 + 2, max(column0 - 1, 0) : column1 + 2]
    around[:] = BELOW_LOW
    for r in range(row0, row1 + 1):
        above, below = logits[r], logits[min(r + 1, rows - 1)]
        inner = min(column1 + 1, columns - 1)  # the last column of cells has no right neighbour
        _classify_row(
            above[column0 : inner + 1],
            below[column0 : inner + 1],
            thresholds,
            margin,
            classes[r, column0:inner],
        )
        if column1 + 1 > inner:
            last = np.empty(2, np.float32)
            under = np.empty(2, np.float32)
            last[:] = above[columns - 1]
            under[:] = below[columns - 1]
            _classify_row(last, under, thresholds, margin, classes[r, columns - 1 :])
