"""A scaling laid out for the kernel: what is blended with what, which pixels depend on which cell.

A cell (r, s) is the square between the centres of logits r, s and r + 1, s + 1. Image rows that
depend on the same two rows of the model's input are a band. "Input" is the model's input without
its padding.
"""

from typing import NamedTuple

import numpy as np

from seg_assets.masks.upscaling.axes import Axis, Scaling


class Blend(NamedTuple):
    """Two neighbours of each output pixel along an axis, in the order in which they are rounded.

    Output pixel i is `fused_multiply_add(weight[i], input[source[i]], rounded)`, where `rounded` is
    `rounded_weight[i] * input[rounded_source[i]]`.

    Attributes:
        rounded_source: (N,) uint32.
        rounded_weight: (N,) float32.
        source: (N,) uint32.
        weight: (N,) float32.
    """

    rounded_source: np.ndarray
    rounded_weight: np.ndarray
    source: np.ndarray
    weight: np.ndarray


class Grid(NamedTuple):
    """A `Scaling` in the form that the kernel reads.

    Attributes:
        input_rows: From rows of the logits to those of the input.
        input_columns: The same for columns.
        image_columns: From columns of the input to those of the image.
        upper_weight: Weight of the upper input row of each image row, (H,) float32.
        lower_weight: Weight of the lower one, (H,) float32.
        upper_is_rounded: Whether it is the upper one's product that is rounded.
        row_cells: The row of cells in which each input row lies, (h,) int64.
        column_cells: The column of cells in which each image column begins, (W,) int64.
        first_needed: First column of the input that each image column needs, (W,) int64.
        last_needed: Last one, (W,) int64.
        band_start: First image row of each band, then H, (B + 1,) int64.
        band_upper: Upper input row of each band, (B,) int64.
        band_lower: Lower input row of each band, (B,) int64.
        first_band: First band that depends on each row of cells or a later one, (rows,) int64.
        last_band: Last band that depends on each row of cells or an earlier one, (rows,) int64.
        first_column: First image column that depends on each column of cells, or a later one.
        last_column: Last image column that depends on each column of cells, or an earlier one.
        skips_cells: Whether a pixel, or two neighbouring ones, may depend on cells that do not
            touch, as in images much smaller than the input. Both can then be constant and differ.
    """

    input_rows: Blend
    input_columns: Blend
    image_columns: Blend
    upper_weight: np.ndarray
    lower_weight: np.ndarray
    upper_is_rounded: bool
    row_cells: np.ndarray
    column_cells: np.ndarray
    first_needed: np.ndarray
    last_needed: np.ndarray
    band_start: np.ndarray
    band_upper: np.ndarray
    band_lower: np.ndarray
    first_band: np.ndarray
    last_band: np.ndarray
    first_column: np.ndarray
    last_column: np.ndarray
    skips_cells: bool


class Rounding(NamedTuple):
    """Of the two products of a blend, whether it is the first that is rounded before they add up.

    Attributes:
        rows: Where rows are blended.
        columns: Where columns are blended.
    """

    rows: bool
    columns: bool


def grid_of(scaling: Scaling, rounding: Rounding) -> Grid:
    """Lay out a scaling for the kernel.

    Args:
        scaling: From the logits to the image.
        rounding: As torch rounds.
    """
    rows, columns = scaling.to_image_rows, scaling.to_image_columns
    input_rows, input_columns = scaling.to_input_rows, scaling.to_input_columns
    new_band = (np.diff(rows.first) != 0) | (np.diff(rows.second) != 0)
    starts = np.concatenate([[0], np.flatnonzero(new_band) + 1])
    upper, lower = rows.first[starts].astype(np.int64), rows.second[starts].astype(np.int64)
    row_cells, column_cells = input_rows.first.astype(np.int64), input_columns.first
    cell_rows, cell_columns = np.arange(scaling.needed_rows), np.arange(scaling.needed_columns)
    return Grid(
        input_rows=_blend_of(input_rows, rounding.rows),
        input_columns=_blend_of(input_columns, rounding.columns),
        image_columns=_blend_of(columns, rounding.columns),
        upper_weight=rows.weight0,
        lower_weight=rows.weight1,
        upper_is_rounded=rounding.rows,
        row_cells=row_cells,
        column_cells=column_cells[columns.first].astype(np.int64),
        first_needed=columns.first.astype(np.int64),
        last_needed=columns.second.astype(np.int64),
        band_start=np.append(starts, len(rows)).astype(np.int64),
        band_upper=upper,
        band_lower=lower,
        first_band=np.searchsorted(row_cells[lower], cell_rows, "left"),
        last_band=np.searchsorted(row_cells[upper], cell_rows, "right") - 1,
        first_column=np.searchsorted(column_cells[columns.second], cell_columns, "left"),
        last_column=np.searchsorted(column_cells[columns.first], cell_columns, "right") - 1,
        skips_cells=_skips_cells(rows, row_cells) or _skips_cells(columns, column_cells),
    )


def _skips_cells(axis: Axis, cells: np.ndarray) -> bool:
    within_a_pixel = cells[axis.second] - cells[axis.first]
    between_pixels = cells[axis.first[1:]] - cells[axis.second[:-1]]
    return bool((within_a_pixel > 1).any() or (between_pixels > 1).any())


def _blend_of(axis: Axis, first_is_rounded: bool) -> Blend:
    first, second = axis.first.astype(np.uint32), axis.second.astype(np.uint32)
    if first_is_rounded:
        return Blend(first, axis.weight0, second, axis.weight1)
    return Blend(second, axis.weight1, first, axis.weight0)
