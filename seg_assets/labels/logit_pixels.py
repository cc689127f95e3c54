"""Class scores at a pixel, from mask logits, in Numba.

Every number is rounded in one defined way, so that all that is made from the same factors agrees to
the last bit:

1. A mask logit at a pixel is interpolated in float32, rows first, as low + (high - low) * weight;
   where the image has another size than the model's input, twice along each axis.
2. Its sigmoid is 1 / (1 + e(-x)), x held within -60..60, e(r + n ln 2) = 2^n times a polynomial of
   degree seven.
3. The score of a class is the sum of s(q) * p(q) over the queries in float32: eight at a time, as
   ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)), one group after the other.

Only sums, products and one division are used, never a fused one, so that compiled code may work on
many numbers at a time without another result. Queries are padded with zeros to a multiple of eight,
which changes no bit.

Interpolation and sigmoids work on all queries of a pixel, scores on a strip of pixels: both then
run through memory in order.
"""

import numpy as np
from numba import njit

LANES = 8
STRIP = 32  # pixels; of 16 the compiler makes slower code

_HALF, _ONE = np.float32(0.5), np.float32(1.0)
_MOST = np.float32(60.0)  # exp(60) is far from overflow; a sigmoid of 1e-26 counts for nothing
_PER_LN2 = np.float32(1.4426950408889634)
# ln 2 in two parts; the first has so few digits that its products with small integers are exact.
_LN2, _LN2_REST = np.float32(355.0 / 512.0), np.float32(0.6931471805599453 - 355.0 / 512.0)
_C2, _C3, _C4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
_C5, _C6, _C7 = np.float32(1 / 120), np.float32(1 / 720), np.float32(1 / 5040)
_BIAS, _SHIFT = np.int32(127), np.int32(23)  # of a float32's exponent


@njit(nogil=True)
def unpack(bits, table, block):
    """Float16 numbers, queries first, as float32, queries last.

    Args:
        bits: (K, rows, w) uint16.
        table: (65536,) float32, the value of each pattern of bits.
        block: (rows, w, K or more) float32, filled.
    """
    for query in range(bits.shape[0]):
        for row in range(bits.shape[1]):
            for column in range(bits.shape[2]):
                block[row, column, query] = table[bits[query, row, column]]


@njit(nogil=True)
def scratch(queries):
    """Memory for one pixel: integers, the same bytes as float32, and two rows of float32."""
    bits = np.empty(queries, np.int32)
    return (
        bits,
        bits.view(np.float32),
        np.empty(queries, np.float32),
        np.empty(queries, np.float32),
    )


@njit(nogil=True, error_model="numpy")  # the other model looks for divisions by zero, one by one
def sigmoids(values, bits, powers, out):
    """Sigmoids of float32 values; `powers` is the memory of `bits` read as float32."""
    for k in range(len(values)):
        x = min(max(-values[k], -_MOST), _MOST)
        n = np.floor(x * _PER_LN2 + _HALF)
        r = x - n * _LN2 - n * _LN2_REST
        e = ((((((_C7 * r + _C6) * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r + _ONE) * r + _ONE
        bits[k] = (np.int32(n) + _BIAS) << _SHIFT
        out[k] = e
    for k in range(len(values)):
        out[k] = _ONE / (_ONE + out[k] * powers[k])


@njit(nogil=True)
def _blend(a, b, weight, out):
    for k in range(len(out)):
        out[k] = a[k] + (b[k] - a[k]) * weight


@njit(nogil=True)
def read_row(block, rows, y, first, last, wide, line):
    """Interpolate columns first..last - 1 of the block at image row y into line[: last - first]."""
    inner_low, inner_high, inner_weight, low, high, weight = rows
    i, j = low[y], high[y]
    for column in range(first, last):
        into = line[column - first]
        _blend(block[inner_low[i], column], block[inner_high[i], column], inner_weight[i], into)
        if weight[y] != 0:
            a, b = block[inner_low[j], column], block[inner_high[j], column]
            _blend(a, b, inner_weight[j], wide)
            for k in range(len(into)):
                into[k] += (wide[k] - into[k]) * weight[y]


@njit(nogil=True)
def read_pixel(line, first, columns, x, wide, out):
    """Interpolate an image column from a row's columns, which begin with `first`."""
    inner_low, inner_high, inner_weight, low, high, weight = columns
    i, j = low[x], high[x]
    _blend(line[inner_low[i] - first], line[inner_high[i] - first], inner_weight[i], out)
    if weight[x] != 0:
        _blend(line[inner_low[j] - first], line[inner_high[j] - first], inner_weight[j], wide)
        for k in range(len(out)):
            out[k] += (wide[k] - out[k]) * weight[x]


@njit(nogil=True)
def support(axis, start, stop):
    """The logits' rows or columns, first and behind the last, that start..stop - 1 read."""
    return axis[0][axis[3][start]], axis[1][axis[4][stop - 1]] + 1


@njit(nogil=True)
def read_strip(line, first, columns, start, stop, work, strip, place):
    """Sigmoids of the pixels start..stop - 1 of a row, into strip[:, place:].

    Args:
        line: (columns, K) float32, the logits of the row, from `read_row`.
        first: the column that `line` begins with.
        columns: taps of the image's columns.
        start: first pixel.
        stop: behind the last one.
        work: from `scratch`.
        strip: (K, STRIP) float32.
        place: where the first pixel goes.
    """
    bits, powers, values, other = work
    for x in range(start, stop):
        read_pixel(line, first, columns, x, other, values)
        sigmoids(values, bits, powers, other)
        at = place + x - start
        for k in range(len(other)):
            strip[k, at] = other[k]


@njit(nogil=True)
def add_up(strip, weights, scores):
    """Scores of a strip of pixels.

    Args:
        strip: (K, STRIP) float32 sigmoids, K a multiple of eight.
        weights: (C, K) float32.
        scores: (C, STRIP) float32, filled.
    """
    for c in range(len(weights)):
        row, w = scores[c], weights[c]
        row[:] = 0
        for k in range(0, len(strip), 8):
            w0, w1, w2, w3 = w[k], w[k + 1], w[k + 2], w[k + 3]
            w4, w5, w6, w7 = w[k + 4], w[k + 5], w[k + 6], w[k + 7]
            for x in range(STRIP):
                low = (strip[k, x] * w0 + strip[k + 1, x] * w1) + (
                    strip[k + 2, x] * w2 + strip[k + 3, x] * w3
                )
                high = (strip[k + 4, x] * w4 + strip[k + 5, x] * w5) + (
                    strip[k + 6, x] * w6 + strip[k + 7, x] * w7
                )
                row[x] += low + high
