"""Which masks stay: duplicates by their boxes, and small holes and islands inside a mask."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from torchvision.ops import nms

from seg_assets.masks.rle import Rle
from seg_assets.masks.upscaling.traced import TracedMask


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


def repair(mask: TracedMask, min_area: int) -> TracedMask:
    """Fill the small holes of a mask, then drop its small islands, but never the largest one.

    Pixels that touch at a corner are connected. Works inside the mask's box.

    Args:
        mask: Not empty.
        min_area: The smallest hole and island that stay, in pixels.

    Returns:
        The same object where nothing is that small.
    """
    height, width = mask.rle.height, mask.rle.width
    x0, y0, x1, y1 = mask.corners
    # One more pixel on each side, where the image has one: the background round the mask. Of equal
    # islands the first counts as the largest. OpenCV goes through them by squares of two by two
    # pixels, so their order is that of the whole image only in a box that begins at an even one.
    left, top = max(x0 - 1, 0) // 2 * 2, max(y0 - 1, 0) // 2 * 2
    right, bottom = min(x1 + 2, width), min(y1 + 2, height)
    # Pixels beyond each side of that box, all of them background.
    beyond = (top * width, left * height, (height - bottom) * width, (width - right) * height)
    if any(0 < pixels < min_area for pixels in beyond):  # they could be part of a small hole
        left, top, right, bottom, beyond = 0, 0, width, height, (0, 0, 0, 0)
    pixels = mask.rle.decode_box(left, top, right, bottom)
    sides = (beyond[0] > 0, beyond[1] > 0, beyond[2] > 0, beyond[3] > 0)
    pixels, has_holes = fill_small_holes(pixels, min_area, sides)
    pixels, has_islands = drop_small_islands(pixels, min_area)
    if not (has_holes or has_islands):
        return mask
    whole = np.zeros((height, width), np.bool_, order="F")
    whole[top:bottom, left:right] = pixels
    rle = Rle.encode(whole)
    return replace(mask, rle=rle, corners=rle.corners, area=rle.area)


def fill_small_holes(
    mask: np.ndarray,
    min_area: int,
    open_sides: tuple[bool, bool, bool, bool] = (False, False, False, False),
) -> tuple[np.ndarray, bool]:
    """Add background components of fewer than `min_area` pixels to a mask.

    Pixels that touch at a corner are connected.

    Args:
        mask: (H, W) bool.
        min_area: The smallest hole that stays, in pixels.
        open_sides: Top, left, bottom, right: where more than that of background follows beyond the
            array, so that what touches this side is no hole.

    Returns:
        The mask, (H, W) bool, and whether there was such a hole.
    """
    components, areas = _components(~mask)
    small = np.concatenate([[True], areas < min_area])  # component 0 is the mask itself
    lines = (components[0], components[:, 0], components[-1], components[:, -1])
    for line, is_open in zip(lines, open_sides, strict=True):
        if is_open:
            small[line[line > 0]] = False
    if not small[1:].any():
        return mask, False
    return small[components], True


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
