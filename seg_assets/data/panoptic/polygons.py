"""Masks as polygons and back, without losing a pixel."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as pycocotools_mask

from seg_assets.data.instance_image import mask_box
from seg_assets.data.run_lengths import paint_runs, read_runs

_coco: Any = pycocotools_mask  # its type hints leave out half of what its functions accept

Polygon = tuple[float, ...]
"""x1, y1, x2, y2, ... in pixels; pixel (0, 0) is the square from (0, 0) to (1, 1)."""

MIN_NUMBERS = 8
"""Loaders in RefCOCO's style pass over polygons of fewer numbers."""


def outline_mask(mask: np.ndarray, *, tolerance: float = 0.0) -> tuple[Polygon, ...]:
    """Outline a mask.

    Each connected part (over sides or corners) gives one polygon. A hole is cut out by a line of no
    width from the outer border, which fillers by the even-odd rule leave open. Without tolerance
    the outline follows the pixels' own borders, and `fill_polygons` gives the mask back exactly.

    Args:
        mask: (H, W) bool.
        tolerance: how far, in pixels, the outline may leave the pixels' borders to do with fewer
            corners. A part that would be left with fewer than 4 corners keeps all it has.

    Returns:
        Polygons of at least 8 numbers each; none for an empty mask.
    """
    import cv2  # noqa: PLC0415  # only where outlines are needed: it takes long to load

    left, top, right, bottom = mask_box(mask)
    if right == 0:
        return ()
    part = mask[top:bottom, left:right].astype(np.uint8)
    # Every pixel becomes 2 x 2; then the corner of the pixel nearest to a quarter (x, y) is
    # ((x + 1) // 2, (y + 1) // 2), and a trace of border quarters is a trace of pixel corners.
    quarters = part.repeat(2, axis=0).repeat(2, axis=1)
    traces, tree = cv2.findContours(quarters, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    polygons = []
    for index, trace in enumerate(traces):
        _, _, first_hole, parent = tree[0][index]
        if parent >= 0:
            continue
        loop = _thin(_corners(trace), tolerance)
        while first_hole >= 0:
            hole = _thin(_corners(traces[first_hole]), tolerance)
            # out to the hole, around it, and back the same way
            loop = np.concatenate([loop, hole, hole[:1], loop[-1:]])
            first_hole = tree[0][first_hole][0]
        polygons.append(tuple((loop + [left, top]).astype(float).ravel().tolist()))
    return tuple(polygons)


def fill_polygons(polygons: Iterable[Sequence[float]], height: int, width: int) -> np.ndarray:
    """Fill polygons as COCO's tools do: (H, W) bool, pixels that are in any of them."""
    listed = [list(polygon) for polygon in polygons]
    if not listed:
        return np.zeros((height, width), bool)
    filled = _coco.merge(_coco.frPyObjects(listed, height, width))
    return paint_runs(read_runs(filled["counts"], height, width), height, width)


def box_polygon(bbox: Sequence[float]) -> Polygon:
    """Turn a box x, y, width, height into a polygon."""
    x, y, width, height = bbox
    return (x, y, x + width, y, x + width, y + height, x, y + height)


def _corners(trace: np.ndarray) -> np.ndarray:
    """Corners (N, 2) of the pixels along a trace of quarters (M, 1, 2), without those in a line."""
    points = (trace[:, 0, :].astype(np.int64) + 1) // 2
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    return points[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]


def _thin(loop: np.ndarray, tolerance: float) -> np.ndarray:
    if tolerance <= 0:
        return loop
    import cv2  # noqa: PLC0415

    thinned = cv2.approxPolyDP(loop.astype(np.int32)[:, None], tolerance, closed=True)[:, 0]
    return thinned.astype(np.int64) if len(thinned) >= MIN_NUMBERS // 2 else loop
