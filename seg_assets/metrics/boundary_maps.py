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
        (H, W) of the same type: labelled pixels of which one of the four neighbours has another
        label; UNKNOWN elsewhere. The image's border is no contour.
    """
    lines = np.empty_like(labels, order="C")
    _draw_contours(np.ascontiguousarray(labels), lines)
    return lines


def near_pixels(
    lines: np.ndarray, others: np.ndarray, labels: int, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count by label the pixels of contours that have a contour of their label nearby.

    Args:
        lines: (H, W) int16, the label of contour pixels, below `labels`, UNKNOWN elsewhere.
        others: (H, W) int16, likewise.
        labels: number of labels.
        radius: Euclidean distance in pixels up to which, inclusive, pixels of `others` are near.

    Returns:
        (labels,) int64, contour pixels of `lines` with one of `others` nearby, and all of them.
    """
    rows = np.arange(int(radius) + 1)
    half_widths = np.floor(np.sqrt(radius**2 - rows**2)).astype(np.int64)
    near, length = np.zeros(labels, np.int64), np.zeros(labels, np.int64)
    side = max(len(half_widths), 16)
    squares = (lines.shape[0] // side + 1, lines.shape[1] // side + 1, labels)
    _count_near(lines, others, half_widths, np.zeros(squares, np.bool_), side, near, length)
    return near, length


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
def _draw_contours(labels, lines):
    height, width = labels.shape
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            value = labels[y, x]
            up, down = labels[above, x], labels[below, x]
            left, right = labels[y, max(x - 1, 0)], labels[y, min(x + 1, width - 1)]
            differs = (up != value) & (up != UNKNOWN)
            differs |= (down != value) & (down != UNKNOWN)
            differs |= (left != value) & (left != UNKNOWN)
            differs |= (right != value) & (right != UNKNOWN)
            lines[y, x] = value if differs else UNKNOWN


@njit(cache=True, nogil=True)
def _count_near(lines, others, half_widths, held, side, near, length):
    """Fill `near` and `length`; squares without a label at all save most of the searching.

    All that is near a pixel lies in its square of `side` pixels and the eight round it; `held` is
    False, by square and label.
    """
    height, width = others.shape
    for y in range(height):
        for x in range(width):
            if others[y, x] != UNKNOWN:
                held[y // side, x // side, others[y, x]] = True
    for y in range(height):
        for x in range(width):
            wanted = lines[y, x]
            if wanted == UNKNOWN:
                continue
            length[wanted] += 1
            anywhere = False
            for row in range(max(y // side - 1, 0), min(y // side + 2, held.shape[0])):
                for column in range(max(x // side - 1, 0), min(x // side + 2, held.shape[1])):
                    anywhere |= held[row, column, wanted]
            if anywhere and _is_near(y, x, wanted, others, half_widths):
                near[wanted] += 1


@njit(cache=True, nogil=True)
def _is_near(y, x, wanted, others, half_widths):
    """Whether `others` holds `wanted` within the disc round a pixel, looked for row by row."""
    height, width = others.shape
    for step in range(2 * len(half_widths) - 1):  # 0, 1, -1, 2, -2 ...
        shift = (step + 1) // 2
        row = y + shift if step % 2 == 1 else y - shift
        if row < 0 or row >= height:
            continue
        left = max(x - half_widths[shift], 0)
        right = min(x + half_widths[shift] + 1, width)
        for column in range(left, right):
            if others[row, column] == wanted:
                return True
    return False
