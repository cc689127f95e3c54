"""Which pixels are left of each region when its rim is taken off: all regions in a few passes.

A pixel survives a disc if, in each row of the disc, the pixels around it on that row belong to its
region for as far as the disc's row reaches. How far they do is counted once per pixel along its own
row, so that a disc of 97 pixels costs eleven comparisons, for all regions together.
"""

import numpy as np
from numba import njit

FAR = 255  # longer than the radius of any disc


@njit(cache=True, nogil=True)
def clearances(ids: np.ndarray) -> np.ndarray:
    """Pixels of the same region on the shorter side of each pixel in its row: (H, W) uint8.

    Args:
        ids: (H, W) int32. Beyond the image's border everything counts as the same region.
    """
    height, width = ids.shape
    result = np.empty((height, width), np.uint8)
    for y in range(height):
        start = 0
        while start < width:
            stop = start + 1
            while stop < width and ids[y, stop] == ids[y, start]:
                stop += 1
            for x in range(start, stop):
                left = FAR if start == 0 else x - start
                right = FAR if stop == width else stop - 1 - x
                result[y, x] = min(left, right, FAR)
            start = stop
    return result


@njit(cache=True, nogil=True)
def mark_survivors(
    ids: np.ndarray, clearance: np.ndarray, half_widths: np.ndarray, mark: int, depths: np.ndarray
) -> None:
    """Set `depths` to `mark` where a pixel's region covers a whole disc around it.

    Args:
        ids: (H, W) int32.
        clearance: (H, W) uint8, from `clearances`.
        half_widths: (2 r + 1,) uint8, how far each row of the disc reaches to each side.
        mark: 1 or 2.
        depths: (H, W) uint8, changed in place.
    """
    height, width = ids.shape
    radius = len(half_widths) // 2
    alive = np.empty(width, np.bool_)
    for y in range(height):
        for x in range(width):
            alive[x] = ids[y, x] != 0
        for other in range(max(y - radius, 0), min(y + radius + 1, height)):
            reach = half_widths[other - y + radius]
            for x in range(width):
                same = ids[other, x] == ids[y, x]
                alive[x] = alive[x] & same & (clearance[other, x] >= reach)
        for x in range(width):
            if alive[x]:
                depths[y, x] = mark


@njit(cache=True, nogil=True)
def count_depths(ids: np.ndarray, depths: np.ndarray, regions: int) -> np.ndarray:
    """Pixels of each region at each depth: (regions, 3) int64; ids must lie in 0..regions - 1."""
    counts = np.zeros((regions, 3), np.int64)
    for y in range(ids.shape[0]):
        for x in range(ids.shape[1]):
            counts[ids[y, x], depths[y, x]] += 1
    return counts


@njit(cache=True, nogil=True)
def list_pixels(
    ids: np.ndarray, depths: np.ndarray, needed: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Rows and columns of the pixels that are deep enough, region by region in reading order.

    Args:
        ids: (H, W) int32 in 0..R - 1.
        depths: (H, W) uint8.
        needed: (R,) int64, the depth that a pixel of each region must have.
        starts: (R + 1,) int64, where each region's pixels begin in the result.

    Returns:
        (2, starts[-1]) int32.
    """
    result = np.empty((2, starts[-1]), np.int32)
    place = starts.copy()
    for y in range(ids.shape[0]):
        for x in range(ids.shape[1]):
            region = ids[y, x]
            if depths[y, x] >= needed[region] and place[region] < starts[region + 1]:
                result[0, place[region]] = y
                result[1, place[region]] = x
                place[region] += 1
    return result
