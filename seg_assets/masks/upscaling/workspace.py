"""What a thread needs to trace masks: buffers that the kernel writes into."""

from typing import NamedTuple

import numpy as np

from seg_assets.masks.upscaling.grid import Grid


class Workspace(NamedTuple):
    """Buffers of one thread; their contents mean nothing between masks.

    Attributes:
        classes: Classes of cells, (rows, columns) uint8.
        maxima: Order of each row's greatest logit, (rows,) int32.
        spans: Four lists of spans as first and last column, (4, columns + 1, 2) int64.
        input_row: One row of the input, (w,) float32.
        blended: Two rows of the input at the image's columns, (2, W) float32.
        bits: The mask's last row, (W,) uint8; zero between masks.
        toggled: Where the current row differs from the one before, (W,) uint8.
        starts: Index of each column's first toggle after sorting, (W + 1,) int64.
        toggle_columns: Columns of the toggles in the order in which they are found, (T,) int32.
        toggle_rows: Their rows, (T,) int32.
        sorted_rows: The same by column, (T,) int32.
        places: Pixels down the columns of the image at which runs end, (T + 1,) int64.
    """

    classes: np.ndarray
    maxima: np.ndarray
    spans: np.ndarray
    input_row: np.ndarray
    blended: np.ndarray
    bits: np.ndarray
    toggled: np.ndarray
    starts: np.ndarray
    toggle_columns: np.ndarray
    toggle_rows: np.ndarray
    sorted_rows: np.ndarray
    places: np.ndarray


def workspace_for(grid: Grid, toggles: int) -> Workspace:
    """Buffers for one thread.

    Args:
        grid: Of the images to come.
        toggles: Most places at which the columns of a mask may enter or leave it.
    """
    width, columns = len(grid.column_cells), len(grid.first_column)
    return Workspace(
        classes=np.empty((len(grid.first_band), columns), np.uint8),
        maxima=np.empty(len(grid.first_band), np.int32),
        spans=np.empty((4, columns + 1, 2), np.int64),
        input_row=np.empty(len(grid.input_columns.source), np.float32),
        blended=np.empty((2, width), np.float32),
        bits=np.zeros(width, np.uint8),
        toggled=np.empty(width, np.uint8),
        starts=np.empty(width + 1, np.int64),
        toggle_columns=np.empty(toggles, np.int32),
        toggle_rows=np.empty(toggles, np.int32),
        sorted_rows=np.empty(toggles, np.int32),
        places=np.empty(toggles + 1, np.int64),
    )
