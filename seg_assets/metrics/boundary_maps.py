"""Where a map of labels has its boundaries: bands and contours of all classes at once, in Numba.

Both kernels take (H, W) int16 or int32 labels. UNKNOWN pixels may have any label: no boundary lies
between them and others.
"""

import numpy as np
from numba import njit

UNKNOWN = -1


def boundary_bands(labels: np.ndarray, distance: int) -> np.ndarray:
    """Find the pixels that lie near the boundary of what they belong to, from the inside.

    A labelled pixel is in the band if the square of `distance` pixels round it holds another label
    or reaches over the image's border. For one label this is the mask without its erosion by a
    3 x 3 square, `distance` times over, with nothing beyond the image.

    Args:
        labels: (H, W) int16 or int32, at least 0, or UNKNOWN.
        distance: at least 1.

    Returns:
        (H, W) bool; the time does not depend on `distance`.
    """
    band = labels != UNKNOWN
    if min(labels.shape) > 2 * distance:
        _clear_inside(np.ascontiguousarray(labels), distance, band)
    return band


def contours(labels: np.ndarray) -> np.ndarray:
    """Find the pixels beside whose edges another label begins.

    Args:
        labels: (H, W) int16 or int32, at least 0, or UNKNOWN.

    Returns:
        (H, W) bool: labelled pixels of which one of the four neighbours has another label. The
        image's border is no contour.
    """
    found = np.zeros(labels.shape, np.bool_)
    for axis in (0, 1):
        near, far = (slice(None, -1), slice(1, None))
        here, there = ((near, far), ((slice(None), near), (slice(None), far)))[axis]
        differs = (labels[here] != labels[there]) & (labels[here] != UNKNOWN)
        differs &= labels[there] != UNKNOWN
        found[here] |= differs
        found[there] |= differs
    return found


def near_pixels(marked: np.ndarray, others: np.ndarray, labels: int, radius: float) -> np.ndarray:
    """Count by label the marked pixels that have another marked pixel of their label nearby.

    Args:
        marked: (H, W) int16, the label of marked pixels, UNKNOWN elsewhere.
        others: (H, W) int16, likewise.
        labels: number of labels.
        radius: Euclidean distance in pixels up to which, inclusive, pixels of `others` are near.

    Returns:
        (labels,) int64, pixels of `marked` with one of `others` nearby.
    """
    reach = int(radius)
    rows = np.arange(reach + 1)
    half_widths = np.floor(np.sqrt(radius**2 - rows**2)).astype(np.int64)
    counts = np.zeros(labels, np.int64)
    y, x = np.nonzero(marked != UNKNOWN)
    _count_near(y, x, marked, others, half_widths, counts)
    return counts


@njit(cache=True, nogil=True)
def _clear_inside(labels, distance, band):
    """Take out of `band` the pixels whose square holds one label only.

    The last labelled pixel seen, and the last place where the label changed, tell whether a window
    is of one label. First windows along the rows, then along the columns over what those held.
    """
    height, width = labels.shape
    mixed = -2
    window = np.empty(width, labels.dtype)
    label = np.full(width, UNKNOWN, labels.dtype)
    seen = np.full(width, -1, np.int64)
    changed = np.full(width, -1, np.int64)
    for y in range(height):
        last = labels[y, 0]
        last_seen = last_changed = -1
        for x in range(width):
            value = labels[y, x]
            if value != UNKNOWN:
                if value != last:
                    last_changed = last_seen
                    last = value
                last_seen = x
            left = x - 2 * distance
            if left >= 0:
                held = last if last_seen >= left else UNKNOWN
                window[x - distance] = mixed if last_changed >= left else held
        top = y - 2 * distance
        for x in range(distance, width - distance):
            value = window[x]
            if value == mixed:
                changed[x] = y
                seen[x] = y
                label[x] = mixed
            elif value != UNKNOWN:
                if value != label[x]:
                    changed[x] = seen[x]
                    label[x] = value
                seen[x] = y
            if top >= 0 and changed[x] < top:
                band[y - distance, x] = False


@njit(cache=True, nogil=True)
def _count_near(rows, columns, marked, others, half_widths, counts):
    height, width = others.shape
    reach = len(half_widths) - 1
    for n in range(len(rows)):
        y, x = rows[n], columns[n]
        wanted = marked[y, x]
        found = False
        for step in range(2 * reach + 1):  # 0, 1, -1, 2, -2 ...
            shift = (step + 1) // 2
            row = y + shift if step % 2 == 1 else y - shift
            if row < 0 or row >= height:
                continue
            left = max(x - half_widths[shift], 0)
            right = min(x + half_widths[shift] + 1, width)
            for column in range(left, right):
                if others[row, column] == wanted:
                    found = True
                    break
            if found:
                break
        if found:
            counts[wanted] += 1
