"""Simulated users: where a prediction is most wrong, they click next."""

from typing import NamedTuple

import cv2
import numpy as np

GOOD_IOU = 0.925  # no further click on an object that is found so well
BRUSH = 3  # pixels; a click is a square of this side


class Click(NamedTuple):
    """A place, and whether it is wanted (missed so far) or to be kept out."""

    row: int
    column: int
    positive: bool


def next_click(predicted: np.ndarray, target: np.ndarray, prompted: np.ndarray) -> Click | None:
    """The middle of the larger error: what was missed, or what was painted by mistake.

    The middle is the pixel farthest from the rim of its error; the image's border counts as rim.
    Pixels that were prompted before are no errors: the user has said all about them.

    Args:
        predicted: (H, W) bool.
        target: (H, W) bool.
        prompted: (H, W) bool, positive and negative prompts so far.

    Returns:
        None if the prediction is good enough (`GOOD_IOU`) or no error is left.
    """
    union = np.count_nonzero(predicted | target)
    if not union or np.count_nonzero(predicted & target) / union >= GOOD_IOU:
        return None
    missed = target & ~predicted & ~prompted
    wrong = predicted & ~target & ~prompted
    positive = bool(np.count_nonzero(missed) >= np.count_nonzero(wrong))
    error = missed if positive else wrong
    if not error.any():
        return None
    framed = np.pad(error, 1).astype(np.uint8)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return Click(int(row), int(column), positive)


def paint_click(prompt: np.ndarray, click: Click) -> None:
    """Add a click to a prompt (H, W) bool, in place."""
    reach = BRUSH // 2
    rows = slice(max(0, click.row - reach), click.row + reach + 1)
    columns = slice(max(0, click.column - reach), click.column + reach + 1)
    prompt[rows, columns] = True
