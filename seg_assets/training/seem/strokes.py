"""What a user might draw to ask for a segment: points, a polygon, a scribble, a circle, or all."""

from math import comb

import cv2
import numpy as np

from seg_assets.training.seem.params import PromptShape
from seg_assets.training.seem.samples import SMALLEST_SEGMENT

MOST_POINTS = 20
CORNERS = (3, 8)
KNOTS = (2, 5)


def draw_prompt(mask: np.ndarray, shape: PromptShape, rng: np.random.Generator) -> np.ndarray:
    """Draw on a segment; nothing lies outside of it.

    Args:
        mask: (H, W) bool.
        shape: what to draw.
        rng: where chance comes from.

    Returns:
        (H, W) bool; empty for a segment below `SMALLEST_SEGMENT` pixels, else never empty.
    """
    rows, columns = mask.nonzero()
    if len(rows) < SMALLEST_SEGMENT:
        return np.zeros_like(mask)
    if shape == "mask":
        return mask.copy()
    places = np.stack([columns, rows], axis=1).astype(np.int32)
    canvas = np.zeros(mask.shape, np.uint8)
    if shape == "polygon":
        _draw_polygon(canvas, _pick(places, rng.integers(*CORNERS, endpoint=True), rng))
    elif shape == "scribble":
        _draw_scribble(canvas, _pick(places, rng.integers(*KNOTS, endpoint=True), rng), rng)
    elif shape == "circle":
        centre = _pick(places, 1, rng)[0]
        largest = max(1, round(np.sqrt(len(rows) / np.pi)))
        radius = int(rng.integers(1, largest, endpoint=True))
        cv2.circle(canvas, (int(centre[0]), int(centre[1])), radius, 1, thickness=-1)
    drawn = canvas.astype(bool) & mask
    if drawn.any():
        return drawn
    chosen = _pick(places, rng.integers(1, MOST_POINTS, endpoint=True), rng)
    drawn[chosen[:, 1], chosen[:, 0]] = True
    return drawn


def _pick(places: np.ndarray, number: int | np.integer, rng: np.random.Generator) -> np.ndarray:
    return places[rng.choice(len(places), min(int(number), len(places)), replace=False)]


def _draw_polygon(canvas: np.ndarray, corners: np.ndarray) -> None:
    """Fill the polygon whose corners are taken in the order of their angle."""
    offsets = corners - corners.mean(axis=0)
    order = np.argsort(np.arctan2(offsets[:, 1], offsets[:, 0]))
    cv2.fillPoly(canvas, [corners[order]], 1)


def _draw_scribble(canvas: np.ndarray, knots: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a curve that bends at every knot, thick as a finger on a small picture."""
    steps = np.linspace(0, 1, 24)
    degree = len(knots) - 1
    curve = np.zeros((len(steps), 2))
    for i, knot in enumerate(knots):  # a Bezier curve: knots pull, the ends are on it
        share = comb(degree, i) * steps**i * (1 - steps) ** (degree - i)
        curve += share[:, None] * knot
    thickness = int(rng.integers(1, max(2, min(canvas.shape) // 32), endpoint=True))
    cv2.polylines(canvas, [curve.round().astype(np.int32)], False, 1, thickness)
