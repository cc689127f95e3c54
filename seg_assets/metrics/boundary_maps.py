"""Where a map of labels has its boundaries: bands and contours of all classes at once, in Numba.

All take (H, W) int16 or int32 labels. UNKNOWN pixels may have any label: no boundary lies
between them and others.
"""

import numpy as np
from numba import njit

UNKNOWN = -1
_MIXED = -2


def boundary_bands(labels: np.ndarray, distance: int) -> np.ndarray:
    """Find the pixels that lie near the boundary of what they belong to, from the inside.

    A labelled pixel is in the band if the square of `distance` pixels round it holds another label
    or reaches over the image's border. For one label this is the mask without its erosion by a
    3 x 3 square, `distance` times over, with nothing beyond the image.

    Args:
        labels: (H, W) int16 or int32, at least 0, or UNKNOWN.
        distance: at least 1.

    Returns:
        (H, W) bool; the time hardly depends on `distance`.
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

    First what a window along the row holds; then, down the columns, the last window with a label
    and the last place where it changed tell whether the square is of one label.
    """
    height, width = labels.shape
    marks = np.zeros((width + 8) // 8 * 8, np.uint8)
    window = np.full(width, UNKNOWN, labels.dtype)
    label = np.full(width, UNKNOWN, labels.dtype)
    seen = np.full(width, -1, np.int32)
    changed = np.full(width, -1, np.int32)
    inside = slice(distance, width - distance)
    for y in range(height):
        row = labels[y]
        _mark_changes(row[:-1], row[1:], marks[1:width])
        marks[width] = 1
        _look_along(row, marks, distance, window)
        _look_down(window, y, label, seen, changed)
        if y >= 2 * distance:
            _clear(changed[inside], y - 2 * distance, band[y - distance, inside])


@njit(cache=True, nogil=True)
def _mark_changes(before, here, marks):
    for x in range(len(marks)):
        marks[x] = before[x] != here[x]


@njit(cache=True, nogil=True)
def _look_along(row, marks, distance, window):
    """Write which label the window round each pixel holds: UNKNOWN for none, _MIXED for several.

    Each run of a label reaches so far to both sides; where two of different labels meet, it is
    mixed.
    """
    window[:] = UNKNOWN
    width = len(row)
    last, last_end, mixed_end, begin = UNKNOWN, 0, 0, 0
    eights = marks.view(np.uint64)
    for eight in range(len(eights)):
        if eights[eight] == 0:
            continue
        for end in range(8 * eight, 8 * eight + 8):
            if marks[end] == 0:
                continue
            value = row[begin]
            if value != UNKNOWN:
                left = max(begin - distance, 0)
                differs = last != value
                if differs and last != UNKNOWN and left < last_end + distance:
                    mixed_end = min(last_end + distance, width)
                    window[left:mixed_end] = _MIXED
                window[max(left, mixed_end) : min(end + distance, width)] = value
                last, last_end = value, end
            begin = end


@njit(cache=True, nogil=True)
def _look_down(window, y, label, seen, changed):
    """Take in one row of windows; without branches, to become vector instructions."""
    for x in range(len(window)):
        value = window[x]
        known = value != UNKNOWN
        before = changed[x] if value == label[x] or not known else seen[x]
        changed[x] = np.int32(y) if value == _MIXED else before
        seen[x] = np.int32(y) if known else seen[x]
        label[x] = value if known else label[x]


@njit(cache=True, nogil=True)
def _clear(changed, top, band):
    for x in range(len(band)):
        band[x] &= changed[x] >= top


@njit(cache=True, nogil=True)
def _draw_contours(labels, lines):
    height, width = labels.shape
    for y in range(height):
        row, line = labels[y], lines[y]
        up, down = labels[max(y - 1, 0)], labels[min(y + 1, height - 1)]
        # the image's first and last column have themselves as neighbours
        _draw_row(row[:1], up[:1], down[:1], row[:1], row[1:2] if width > 1 else row[:1], line[:1])
        _draw_row(row[1:-1], up[1:-1], down[1:-1], row[:-2], row[2:], line[1:-1])
        if width > 1:
            _draw_row(row[-1:], up[-1:], down[-1:], row[-2:-1], row[-1:], line[-1:])


@njit(cache=True, nogil=True)
def _draw_row(values, up, down, left, right, line):
    """Without branches, to become vector instructions."""
    for x in range(len(line)):
        value = values[x]
        differs = (up[x] != value) & (up[x] != UNKNOWN)
        differs |= (down[x] != value) & (down[x] != UNKNOWN)
        differs |= (left[x] != value) & (left[x] != UNKNOWN)
        differs |= (right[x] != value) & (right[x] != UNKNOWN)
        line[x] = value if differs else UNKNOWN


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
