"""Interpolation with torch's operations in torch's order, in Numba."""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic


def _typed(_context, a, b, c):
    """Type and code of a * b + c with one rounding, all float32."""
    del a, b, c

    def generate(_context, builder, _signature, arguments):
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


_fused_multiply_add: Any = intrinsic(_typed)


@njit(nogil=True)
def blend_input_row(logits, row, spans, count, grid, input_row, blended):
    """Compute a row of the input where spans need it, and blend it to the image's columns."""
    rounded_row = logits[grid.input_rows.rounded_source[row]]
    fused_row = logits[grid.input_rows.source[row]]
    rounded_weight, fused_weight = grid.input_rows.rounded_weight[row], grid.input_rows.weight[row]
    for i in range(count):
        start, end = spans[i, 0], spans[i, 1] + 1
        for k in range(grid.first_needed[start], grid.last_needed[end - 1] + 1):
            s, t = grid.input_columns.rounded_source[k], grid.input_columns.source[k]
            weight_s, weight_t = grid.input_columns.rounded_weight[k], grid.input_columns.weight[k]
            rounded = _fused_multiply_add(weight_t, rounded_row[t], weight_s * rounded_row[s])
            fused = _fused_multiply_add(weight_t, fused_row[t], weight_s * fused_row[s])
            input_row[k] = _fused_multiply_add(fused_weight, fused, rounded_weight * rounded)
        for x in range(start, end):
            columns = grid.image_columns
            blended[x] = _fused_multiply_add(
                columns.weight[x],
                input_row[columns.source[x]],
                columns.rounded_weight[x] * input_row[columns.rounded_source[x]],
            )


@njit(nogil=True)
def compute_bits(rounded_weight, rounded, weight, fused, levels, bits, toggled):
    """One row of a span: its bits, where they change, and pixels above each threshold."""
    low, threshold, high = levels
    above_low, inside, above_high = np.int32(0), np.int32(0), np.int32(0)
    for x in range(len(bits)):
        value = _fused_multiply_add(weight, fused[x], rounded_weight * rounded[x])
        bit = np.uint8(value > threshold)
        above_low = np.int32(above_low + np.int32(value > low))
        inside = np.int32(inside + np.int32(bit))
        above_high = np.int32(above_high + np.int32(value > high))
        toggled[x] = bit ^ bits[x]
        bits[x] = bit
    return above_low, inside, above_high
