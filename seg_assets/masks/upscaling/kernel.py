"""From low-resolution logits to run lengths without a mask at full resolution, in Numba.

Bilinear interpolation never leaves the range of the values it blends. So where the four corners of
a cell of the logits lie on one side of every threshold, all pixels in it do, and only pixels near a
threshold are computed: with the same operations in the same order and rounding as in torch, hence
with the same bits. What is kept of them are the places where a column enters or leaves the mask.

A cell (r, s) is the square between the centres of logits r, s and r + 1, s + 1. Its class says
between which thresholds it lies. Output rows that depend on the same two rows of the model's input
are a band; a span is a range of columns of a band in which pixels must be computed.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numba import njit

from seg_assets.masks.upscaling.cells import (
    ABOVE_HIGH,
    BELOW_THRESHOLD,
    INSIDE,
    box_above,
    classify,
    row_maxima,
)
from seg_assets.masks.upscaling.counts import write_run_lengths
from seg_assets.masks.upscaling.pixels import blend_input_row, compute_bits
from seg_assets.masks.upscaling.spans import find_spans, merge_spans

_FOLDER = Path(__file__).parent

# What became of a mask.
TRACED, NOT_WANTED, NOT_FINITE, TOO_RAGGED = range(4)

# Columns of the table that `trace_masks` fills.
STATUS, LOOSE_AREA, AREA, TIGHT_AREA, X0, Y0, X1, Y1, BEGIN, END = range(10)

# Rounding of the four blends that a pixel goes through is below 12 units of 2^-24, relative to the
# greatest logit, or to the smallest normal number; cells this near to a threshold count as mixed.
_ROUNDING = 4e-6
_SMALLEST = 2.0**-126


@njit(nogil=True)
def _note_toggles(toggled, first_column, row, work, count):
    """Append the places of one row where columns enter or leave the mask; returns their number."""
    for i in range(len(toggled)):
        if toggled[i]:
            x = first_column + i
            work.toggle_columns[count] = x
            work.toggle_rows[count] = row
            work.starts[x] += 1
            count += 1
    return count


@njit(nogil=True)
def _settle(first_column, last_column, bit, row, changed, changed_count, work, count):
    """Bring columns to a constant bit from a row on; returns the number of toggles.

    Only those in the spans `changed` can have had another bit in the row before.
    """
    for i in range(changed_count):
        start, end = max(changed[i, 0], first_column), min(changed[i, 1], last_column)
        for x in range(start, end + 1):
            if work.bits[x] != bit:
                work.bits[x] = bit
                work.toggle_columns[count] = x
                work.toggle_rows[count] = row
                work.starts[x] += 1
                count += 1
    return count


@njit(nogil=True)
def _spans_of_band(band, grid, column0, column1, classes, spans):
    """Where a band's pixels must be computed; returns the number of spans."""
    upper_cells = classes[grid.row_cells[grid.band_upper[band]]]
    lower_cells = classes[grid.row_cells[grid.band_lower[band]]]
    return find_spans(upper_cells, lower_cells, column0, column1, grid, spans)


@njit(nogil=True)
def _cross_gaps(band, edges, spans, span_count, changed, changed_count, grid, work, count):
    """A band's columns between the spans, where all pixels of a gap are of one class.

    Returns:
        Pixels above each threshold, and the number of toggles.
    """
    left, right = edges
    start, rows = grid.band_start[band], grid.band_start[band + 1] - grid.band_start[band]
    cells = work.classes[grid.row_cells[grid.band_upper[band]]]
    above_low, inside, above_high = 0, 0, 0
    first = left
    for i in range(span_count + 1):
        last = spans[i, 0] - 1 if i < span_count else right
        if first <= last:
            kind = cells[grid.column_cells[first]]
            pixels = (last - first + 1) * rows
            above_low += pixels * (kind >= BELOW_THRESHOLD)
            inside += pixels * (kind >= INSIDE)
            above_high += pixels * (kind == ABOVE_HIGH)
            bit = np.uint8(kind >= INSIDE)
            count = _settle(first, last, bit, start, changed, changed_count, work, count)
        if i < span_count:
            first = spans[i, 1] + 1
    return above_low, inside, above_high, count


@njit(nogil=True)
def _cross_spans(band, spans, span_count, upper, lower, thresholds, grid, work, count):
    """A band's pixels in the spans, row by row.

    Returns:
        Pixels above each threshold, and the number of toggles.
    """
    above_low, inside, above_high = 0, 0, 0
    rounded, fused = (upper, lower) if grid.upper_is_rounded else (lower, upper)
    for row in range(grid.band_start[band], grid.band_start[band + 1]):
        rounded_weight, weight = grid.upper_weight[row], grid.lower_weight[row]
        if not grid.upper_is_rounded:
            rounded_weight, weight = weight, rounded_weight
        for i in range(span_count):
            x0, x1 = spans[i, 0], spans[i, 1] + 1
            toggled = work.toggled[x0:x1]
            found = compute_bits(
                rounded_weight,
                rounded[x0:x1],
                weight,
                fused[x0:x1],
                thresholds,
                work.bits[x0:x1],
                toggled,
            )
            above_low += found[0]
            inside += found[1]
            above_high += found[2]
            count = _note_toggles(toggled, x0, row, work, count)
    return above_low, inside, above_high, count


@njit(nogil=True)
def _sort_toggles(left, right, count, work):
    """Sort toggles by column; within a column they are found from top to bottom already."""
    total = 0
    for x in range(left, right + 1):
        in_column = work.starts[x]
        work.starts[x] = total
        total += in_column
    for i in range(count):
        x = work.toggle_columns[i]
        work.sorted_rows[work.starts[x]] = work.toggle_rows[i]
        work.starts[x] += 1


@njit(nogil=True)
def trace(logits, grid, thresholds, work):
    """Find where the columns of one mask enter and leave it.

    Args:
        logits: (rows, columns) float32; at least as many as the grid needs.
        grid: How they are scaled to the image.
        thresholds: The looser threshold of the stability score; the threshold itself, above which
            pixels belong to the mask; the tighter one; all float32.
        work: Buffers.

    Returns:
        Status (TRACED, NOT_FINITE, or TOO_RAGGED for the buffers), pixels above each of the three
        thresholds, number of toggles, first and last column that may have some. The rows of column
        x's toggles lie in `work.sorted_rows`, from `work.starts[x - 1]` (0 for the first column) to
        `work.starts[x]`.
    """
    columns = work.classes.shape[1]
    greatest = row_maxima(logits.view(np.int32), columns, work.maxima)
    if not greatest < np.inf:
        return NOT_FINITE, 0, 0, 0, 0, 0, -1
    low, _, _ = thresholds
    margin = np.float32(np.float32(_ROUNDING) * greatest + np.float32(_SMALLEST))
    row0, row1, column0, column1 = box_above(logits, columns, work.maxima, np.float32(low - margin))
    if row1 < row0:
        return TRACED, 0, 0, 0, 0, 0, -1
    row0, column0 = max(row0 - 1, 0), max(column0 - 1, 0)  # of logits -> of cells
    classify(logits, (row0, row1, column0, column1), thresholds, margin, work.classes)

    left, right = grid.first_column[column0], grid.last_column[column1]
    first_band, last_band = grid.first_band[row0], grid.last_band[row1]
    if last_band < first_band or right < left:  # between the pixels of a small image
        return TRACED, 0, 0, 0, 0, 0, -1
    work.starts[left : right + 1] = 0
    current, following, changed, union = work.spans[0], work.spans[1], work.spans[2], work.spans[3]
    upper, lower = work.blended[0], work.blended[1]
    # Before the first band all columns may change: above it is nothing.
    changed[0, 0], changed[0, 1] = left, right
    changed_count = 1
    following_count = _spans_of_band(first_band, grid, column0, column1, work.classes, following)
    held = np.int64(-1)  # the row of the input that `lower` holds
    above_low, inside, above_high, count = 0, 0, 0, 0

    for band in range(first_band, last_band + 1):
        current, following = following, current
        current_count, following_count = following_count, 0
        if band < last_band:
            following_count = _spans_of_band(
                band + 1, grid, column0, column1, work.classes, following
            )
        union_count = merge_spans(current, current_count, following, following_count, union)

        # The lower row of one band is often the upper row of the next.
        if held == grid.band_upper[band]:
            upper, lower = lower, upper
        else:
            row = grid.band_upper[band]
            blend_input_row(logits, row, current, current_count, grid, work.input_row, upper)
        held = grid.band_lower[band]
        blend_input_row(logits, held, union, union_count, grid, work.input_row, lower)

        # Below the last band every column may toggle once more.
        rows = grid.band_start[band + 1] - grid.band_start[band] + (band == last_band)
        if count + rows * (right - left + 1) > len(work.toggle_rows):
            work.bits[left : right + 1] = 0
            return TOO_RAGGED, 0, 0, 0, 0, 0, -1
        edges = (left, right)
        gaps = _cross_gaps(
            band, edges, current, current_count, changed, changed_count, grid, work, count
        )
        spans = _cross_spans(
            band, current, current_count, upper, lower, thresholds, grid, work, gaps[3]
        )
        above_low += gaps[0] + spans[0]
        inside += gaps[1] + spans[1]
        above_high += gaps[2] + spans[2]
        count = spans[3]
        changed, union = union, changed
        changed_count = union_count

    # Below the last band is nothing: every column that is still inside leaves the mask there.
    changed[0, 0], changed[0, 1] = left, right
    below = grid.band_start[last_band + 1]
    count = _settle(left, right, np.uint8(0), below, changed, 1, work, count)
    _sort_toggles(left, right, count, work)
    return TRACED, above_low, inside, above_high, count, left, right


@njit(nogil=True)
def _trace_masks(logits, grid, thresholds, least_stability, canvas, work, out, table):
    """Trace several masks, and write the run lengths of those that are stable and not empty.

    Args:
        logits: (N, rows, columns) float32, C-contiguous.
        grid: How they are scaled to the traced frame.
        thresholds: Looser threshold, threshold and tighter threshold, float32.
        least_stability: Least tight area over loose area, float32.
        canvas: Rows and columns of the image that the frame is a part of, and the row and column in
            which it begins.
        work: Buffers.
        out: Receives the compressed counts of one mask after the other, uint8.
        table: Receives a row per mask, (N, 10) int64: what became of it, pixels above each of
            the thresholds, first and last column and row, and where in `out` its counts lie.

    Returns:
        How many masks are done. Fewer than all: `out` is full.
    """
    height, width, row_offset, column_offset = canvas
    at = 0
    for n in range(len(logits)):
        status, loose, area, tight, toggles, left, right = trace(logits[n], grid, thresholds, work)
        if status == TRACED:
            # As float32, like torch divides integers; the tight mask lies inside the loose one.
            stable = area > 0 and np.float32(tight) / np.float32(loose) >= least_stability
            status = TRACED if stable else NOT_WANTED
        table[n, STATUS] = status
        table[n, LOOSE_AREA], table[n, AREA], table[n, TIGHT_AREA] = loose, area, tight
        if status != TRACED:
            continue
        if at + 7 * (toggles + 2) > len(out):
            return n
        table[n, BEGIN] = at
        at, x0, y0, x1, y1 = write_run_lengths(
            work, left, right, height, width, row_offset, column_offset, out, at
        )
        table[n, END] = at
        table[n, X0], table[n, Y0], table[n, X1], table[n, Y1] = x0, y0, x1, y1
    return len(logits)


def _cached(sources: str) -> Callable[..., int]:
    """Compile `_trace_masks` and all that it calls once per machine and state of the sources.

    Numba keeps compiled code as long as the file of the outermost function does not change, and
    would not notice a change in the files that it calls. What a function encloses is part of
    the key, too.

    Args:
        sources: Digest of all these files.
    """

    @njit(nogil=True, cache=True)
    def trace_masks(logits, grid, thresholds, least_stability, canvas, work, out, table):
        _ = sources
        return _trace_masks(logits, grid, thresholds, least_stability, canvas, work, out, table)

    return trace_masks


trace_masks = _cached(
    hashlib.sha256(b"".join(sorted(p.read_bytes() for p in _FOLDER.glob("*.py")))).hexdigest()
)
"""As `_trace_masks`, compiled."""
