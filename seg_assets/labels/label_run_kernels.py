"""Label maps as runs: found, counted inside masks, and written, in Numba. Callers check the input.

Pixels are numbered down the columns: row y, column x is x * height + y.
"""

import numpy as np
from numba import njit

_LABELS = 256


@njit(cache=True, nogil=True)
def find_runs(label_map):
    """Find the runs of equal labels down each column of a map, (H, W) uint8, C-contiguous.

    Neighbouring rows are compared, many pixels at a time; most rows of most maps are equal.

    Returns:
        First pixel of each run and the number of pixels, (N + 1,) int64; the labels, (N,) uint8;
        the first run of each column and the number of runs, (W + 1,) int64.
    """
    height, width = label_map.shape
    changes = np.zeros(width, np.int32)
    for y in range(1, height):
        row, above = label_map[y], label_map[y - 1]
        for x in range(width):
            changes[x] += row[x] != above[x]
    first = np.empty(width + 1, np.int64)
    first[0] = 0
    for x in range(width):
        first[x + 1] = first[x] + 1 + changes[x]
    starts = np.empty(first[width] + 1, np.int64)
    labels = np.empty(first[width], np.uint8)
    following = np.empty(width, np.int64)  # where the next run of each column goes
    for x in range(width):
        starts[first[x]], labels[first[x]] = x * height, label_map[0, x]
        following[x] = first[x] + 1
    words = (width + 7) // 8
    differs = np.zeros(8 * words, np.uint8)
    by_eight = differs.view(np.uint64)
    for y in range(1, height):
        row, above = label_map[y], label_map[y - 1]
        for x in range(width):
            differs[x] = row[x] ^ above[x]
        for word in range(words):
            if by_eight[word] == 0:
                continue
            for x in range(8 * word, 8 * word + 8):
                if differs[x] != 0:
                    starts[following[x]], labels[following[x]] = x * height + y, row[x]
                    following[x] += 1
    starts[first[width]] = height * width
    return starts, labels, first


@njit(cache=True, nogil=True)
def count_labels(starts, labels, first, height, ends, begin, runs, counts):
    """Add to `counts`, (N, 256) int64, the pixels of each label in each of N masks.

    Args:
        starts: As `find_runs` returns it.
        labels: The same.
        first: The same.
        height: Rows of the map.
        ends: Where runs of the masks end, int64; the last one of each mask is the map's end.
        begin: Where in it each mask begins, (N,) int64.
        runs: How many runs each mask has, (N,) int64.
        counts: Receives the pixels.
    """
    for n in range(len(runs)):
        run = 0  # of the map; masks go forward, too
        own = counts[n]
        for i in range(begin[n], begin[n] + runs[n] - 1, 2):
            pixel, end = ends[i], ends[i + 1]
            if pixel >= end:
                continue
            run = max(run, first[pixel // height])
            while starts[run + 1] <= pixel:
                run += 1
            while starts[run + 1] < end:
                own[labels[run]] += starts[run + 1] - pixel
                pixel = starts[run + 1]
                run += 1
            own[labels[run]] += end - pixel


@njit(cache=True, nogil=True)
def write_labels(starts, labels):
    """Write the pixels of each label as COCO's compressed counts.

    Args:
        starts: As `find_runs` returns it.
        labels: The same.

    Returns:
        The text, uint8, and where in it each label begins and ends, (257,) int64; labels that do
        not occur have none.
    """
    # Runs of the map that touch are one run of the mask.
    runs, last = np.zeros(_LABELS, np.int64), np.full(_LABELS, -1, np.int64)
    for i in range(len(labels)):
        label = labels[i]
        runs[label] += starts[i] != last[label]
        last[label] = starts[i + 1]
    place = np.zeros(_LABELS + 1, np.int64)
    for label in range(_LABELS):
        place[label + 1] = place[label] + 2 * runs[label]
    ends = np.empty(place[_LABELS], np.int64)
    following = place[:_LABELS].copy()
    last[:] = -1
    for i in range(len(labels)):
        label = labels[i]
        if starts[i] != last[label]:
            ends[following[label]] = starts[i]
            following[label] += 2
        ends[following[label] - 1] = starts[i + 1]
        last[label] = starts[i + 1]

    text = np.empty(12 * (len(ends) + _LABELS), np.uint8)
    bounds = np.zeros(_LABELS + 1, np.int64)
    pixels, at = starts[len(labels)], 0
    for label in range(_LABELS):
        end, before, two_before = 0, 0, 0
        count = 2 * runs[label]
        # Behind a mask that does not reach the last pixel is one more run of background.
        rest = count > 0 and ends[place[label + 1] - 1] < pixels
        for i in range(count + rest):
            following_end = ends[place[label] + i] if i < count else pixels
            length = following_end - end
            value = length - two_before if i > 2 else length
            more = True
            while more:
                digit = value & 31
                value >>= 5
                more = value != (-1 if digit & 16 else 0)
                text[at] = digit + (32 if more else 0) + 48
                at += 1
            end, before, two_before = following_end, length, before
        bounds[label + 1] = at
    return text[:at], bounds
