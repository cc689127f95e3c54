"""What is made of a band of an image's mask logits: scores, winners, sums; in Numba.

All take the same first arguments:

    block: (h, w, K) float32, the mask logits that the band reads; K padded to a multiple of eight.
    rows: taps of the band's rows into the block, six arrays as `logit_bands.Axis` makes them.
    columns: taps of the image's columns.
    weights: (C, K) float32 in 0..1, what each query counts for each class.
"""

import hashlib
from pathlib import Path

import numpy as np
from numba import njit

from seg_assets.labels.logit_contenders import find_bounds, gather, mark_contenders
from seg_assets.labels.logit_pixels import (
    STRIP,
    add_up,
    read_pixel,
    read_row,
    read_strip,
    scratch,
    sigmoids,
    support,
    unpack,
)

# Boxes of pixels whose classes are decided together: tiles as wide as a strip, and parts of them
# with as many pixels as a strip.
TILE_ROWS, PART_ROWS, PART_COLUMNS = 16, 4, 8
# Parts of a tile are looked at where so few classes are left that this is less work than pixels.
FEW = 12


@njit(nogil=True)
def _find_winners(block, rows, columns, weights, labels):
    """Fill labels (rows, W) int16 with the classes of the highest scores, the first of equals."""
    height, width = labels.shape
    classes, queries = weights.shape
    work, strip = scratch(queries), np.zeros((queries, STRIP), np.float32)
    least, most = np.empty(queries, np.float32), np.empty(queries, np.float32)
    likely, leads = np.empty(classes, np.float32), np.empty(classes, np.float32)
    kept, kept_here = np.empty(classes, np.bool_), np.empty(classes, np.bool_)
    chosen, compact = np.empty(classes, np.int64), np.empty((classes, queries), np.float32)
    scores = np.empty((classes, STRIP), np.float32)
    line = np.empty((block.shape[1], queries), np.float32)
    for top in range(0, height, TILE_ROWS):
        for left in range(0, width, STRIP):
            bottom, right = min(top + TILE_ROWS, height), min(left + STRIP, width)
            find_bounds(block, rows, columns, (top, bottom, left, right), work, least, most)
            mark_contenders(least, most, weights, 1, likely, leads, kept)
            number = gather(weights, kept, chosen, compact)
            if number == 1:
                labels[top:bottom, left:right] = chosen[0]
                continue
            few = compact[:number]
            split = number <= FEW
            part_height, part_width = (PART_ROWS, PART_COLUMNS) if split else (1, STRIP)
            for y0 in range(top, bottom, part_height):
                y1 = min(y0 + part_height, bottom)
                for x0 in range(left, right, part_width):
                    x1 = min(x0 + part_width, right)
                    if split:
                        box, here = (y0, y1, x0, x1), kept_here[:number]
                        find_bounds(block, rows, columns, box, work, least, most)
                        left_over = mark_contenders(
                            least, most, few, 1, likely[:number], leads[:number], here
                        )
                        if left_over == 1:
                            labels[y0:y1, x0:x1] = chosen[here.argmax()]
                            continue
                    first, last = support(columns, x0, x1)
                    for y in range(y0, y1):
                        read_row(block, rows, y, first, last, work[2], line)
                        place = (y - y0) * part_width
                        read_strip(line, first, columns, x0, x1, work, strip, place)
                    add_up(strip, few, scores)
                    for y in range(y0, y1):
                        for x in range(x0, x1):
                            at = (y - y0) * part_width + x - x0
                            best = 0
                            for i in range(1, number):
                                if scores[i, at] > scores[best, at]:
                                    best = i
                            labels[y, x] = chosen[best]


@njit(nogil=True)
def _rank_two(block, rows, columns, weights, in_all, ranked):
    """The highest and the second highest score of each pixel, and the sum of all scores.

    They go into ranked (3, rows, W) float32; the second is 0 where there is one class only. What
    each query counts for all classes together is given by in_all (K,) float32.
    """
    height, width = ranked.shape[1:]
    classes, queries = weights.shape
    work, strip = scratch(queries), np.zeros((queries, STRIP), np.float32)
    least, most = np.empty(queries, np.float32), np.empty(queries, np.float32)
    likely, leads = np.empty(classes, np.float32), np.empty(classes, np.float32)
    kept, chosen = np.empty(classes, np.bool_), np.empty(classes, np.int64)
    compact = np.empty((classes + 1, queries), np.float32)
    scores = np.empty((classes + 1, STRIP), np.float32)
    line = np.empty((block.shape[1], queries), np.float32)
    for top in range(0, height, TILE_ROWS):
        for left in range(0, width, STRIP):
            bottom, right = min(top + TILE_ROWS, height), min(left + STRIP, width)
            find_bounds(block, rows, columns, (top, bottom, left, right), work, least, most)
            mark_contenders(least, most, weights, 2, likely, leads, kept)
            number = gather(weights, kept, chosen, compact)
            compact[number] = in_all
            first, last = support(columns, left, right)
            for y in range(top, bottom):
                read_row(block, rows, y, first, last, work[2], line)
                read_strip(line, first, columns, left, right, work, strip, 0)
                add_up(strip, compact[: number + 1], scores)
                for x in range(left, right):
                    best, second = np.float32(0), np.float32(0)
                    for i in range(number):
                        score = scores[i, x - left]
                        if score > best:
                            best, second = score, best
                        elif score > second:
                            second = score
                    ranked[0, y, x], ranked[1, y, x] = best, second
                    ranked[2, y, x] = scores[number, x - left]


@njit(nogil=True)
def _all_scores(block, rows, columns, weights, out):
    """Every class's score at every pixel: out (C, rows, W) float32, filled."""
    classes, height, width = out.shape
    queries = weights.shape[1]
    work, strip = scratch(queries), np.zeros((queries, STRIP), np.float32)
    line = np.empty((block.shape[1], queries), np.float32)
    scores = np.empty((classes, STRIP), np.float32)
    for y in range(height):
        read_row(block, rows, y, 0, block.shape[1], work[2], line)
        for left in range(0, width, STRIP):
            right = min(left + STRIP, width)
            read_strip(line, 0, columns, left, right, work, strip, 0)
            add_up(strip, weights, scores)
            for c in range(classes):
                for x in range(left, right):
                    out[c, y, x] = scores[c, x - left]


@njit(nogil=True)
def _region_sums(block, rows, columns, region, sums):
    """Add each query's sigmoids over the pixels of a region (rows, W) bool to sums (K,) float64."""
    queries = block.shape[2]
    work, values, inside = scratch(queries), np.empty(queries, np.float32), scratch(queries)[2]
    line = np.empty((block.shape[1], queries), np.float32)
    for y in range(region.shape[0]):
        left, right = 0, region.shape[1]
        while left < right and not region[y, left]:
            left += 1
        while right > left and not region[y, right - 1]:
            right -= 1
        if left == right:
            continue
        first, last = support(columns, left, right)
        read_row(block, rows, y, first, last, work[2], line)
        for x in range(left, right):
            if region[y, x]:
                read_pixel(line, first, columns, x, work[2], values)
                sigmoids(values, work[0], work[1], inside)
                for k in range(queries):
                    sums[k] += inside[k]


def _cached(sources: str):
    """Compile once per machine and state of the sources, which Numba itself would not notice.

    What a function encloses is part of the key under which its code is kept.

    Args:
        sources: digest of all files that are compiled together.
    """

    @njit(nogil=True, cache=True)
    def unpacked(bits, table, block):
        _ = sources
        unpack(bits, table, block)

    @njit(nogil=True, cache=True)
    def find_winners(block, rows, columns, weights, labels):
        _ = sources
        _find_winners(block, rows, columns, weights, labels)

    @njit(nogil=True, cache=True)
    def rank_two(block, rows, columns, weights, in_all, ranked):
        _ = sources
        _rank_two(block, rows, columns, weights, in_all, ranked)

    @njit(nogil=True, cache=True)
    def all_scores(block, rows, columns, weights, out):
        _ = sources
        _all_scores(block, rows, columns, weights, out)

    @njit(nogil=True, cache=True)
    def region_sums(block, rows, columns, region, sums):
        _ = sources
        _region_sums(block, rows, columns, region, sums)

    return unpacked, find_winners, rank_two, all_scores, region_sums


_FILES = sorted(Path(__file__).parent.glob("logit_*.py"))
unpacked, find_winners, rank_two, all_scores, region_sums = _cached(
    hashlib.sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()
)
