"""Which masks stay: duplicates by their boxes, and small holes and islands inside a mask."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from torchvision.ops import nms


def distinct_boxes(
    corners: Sequence[tuple[int, int, int, int]], scores: Sequence[float], iou_threshold: float
) -> list[int]:
    """Drop boxes that overlap a better one too much (greedy non-maximum suppression).

    Args:
        corners: x0, y0, x1, y1 of each box in pixels.
        scores: Higher is better; of equal ones the earlier is better. Compared as float32.
        iou_threshold: A box goes when its IoU with a better one that stays is greater.

    Returns:
        Indices of the boxes that stay, best first.
    """
    if not corners:
        return []
    boxes = torch.tensor(corners, dtype=torch.float32)
    return nms(boxes, torch.tensor(scores, dtype=torch.float32), iou_threshold).tolist()


def fill_small_holes(mask: np.ndarray, min_area: int) -> tuple[np.ndarray, bool]:
    """Add background components of fewer than `min_area` pixels to a mask.

    Pixels that touch at a corner are connected.

    Args:
        mask: (H, W) bool.
        min_area: The smallest hole that stays, in pixels.

    Returns:
        The mask, (H, W) bool, and whether there was such a hole.
    """
    components, areas = _components(~mask)
    small = areas < min_area
    if not small.any():
        return mask, False
    filled = np.concatenate([[True], small])  # component 0 is the mask itself
    return filled[components], True


def drop_small_islands(mask: np.ndarray, min_area: int) -> tuple[np.ndarray, bool]:
    """Take components of fewer than `min_area` pixels out of a mask, but never the largest one.

    Pixels that touch at a corner are connected.

    Args:
        mask: (H, W) bool.
        min_area: The smallest island that stays, in pixels.

    Returns:
        The mask, (H, W) bool, and whether there was such an island.
    """
    components, areas = _components(mask)
    large = areas >= min_area
    if large.all():
        return mask, False
    if not large.any():
        large[np.argmax(areas)] = True
    return np.concatenate([[False], large])[components], True


def _components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Component of each pixel, (H, W) int32, 0 = not in the mask; areas of components 1.. (N,)."""
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    _, components, statistics, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    return components, statistics[1:, cv2.CC_STAT_AREA]
