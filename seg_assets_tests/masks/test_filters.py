from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.masks.filters import distinct_boxes, drop_small_islands, fill_small_holes, repair
from seg_assets.masks.rle import Rle
from seg_assets.masks.upscaling.traced import TracedMask

# isort: split
from segment_anything.utils.amg import remove_small_regions


def _rows(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


RING = _rows(
    "#####...",
    "#...#...",
    "#...#.#.",
    "#####...",
)


@pytest.mark.parametrize(
    ("boxes", "scores", "threshold", "kept"),
    [
        ([], [], 0.5, []),
        ([(0, 0, 9, 9)], [0.1], 0.5, [0]),
        ([(0, 0, 10, 10), (0, 0, 10, 9)], [0.1, 0.9], 0.7, [1]),
        ([(0, 0, 10, 10), (0, 0, 10, 9)], [0.5, 0.5], 0.7, [0]),  # the earlier of equals
        ([(0, 0, 10, 10), (0, 0, 10, 5)], [0.1, 0.9], 0.5, [1, 0]),  # IoU 0.5 is not greater
        ([(4, 4, 4, 4), (4, 4, 4, 4)], [0.1, 0.9], 0.5, [1, 0]),  # one-pixel masks
    ],
)
def test_of_overlapping_boxes_the_better_stays(boxes, scores, threshold, kept):
    assert distinct_boxes(boxes, scores, threshold) == kept


def test_a_small_hole_is_filled_and_a_large_one_stays():
    filled, changed = fill_small_holes(RING, 7)
    assert changed
    assert (
        filled.tolist() == (RING | _rows("........", ".###....", ".###....", "........")).tolist()
    )
    assert fill_small_holes(RING, 6)[1] is False


def test_a_small_island_goes_and_the_largest_stays():
    without, changed = drop_small_islands(RING, 2)
    assert changed
    assert (
        without.tolist() == (RING & ~_rows("........", "........", "......#.", "........")).tolist()
    )
    only_largest, changed = drop_small_islands(RING, 100)
    assert changed
    assert only_largest.tolist() == without.tolist()


def test_pixels_that_touch_at_a_corner_are_connected():
    diagonal = _rows("#..", ".#.", "..#")
    assert drop_small_islands(diagonal, 3)[1] is False


@pytest.mark.parametrize("mask", [np.zeros((3, 4), bool), np.ones((3, 4), bool)])
def test_empty_and_full_masks_are_left_alone(mask: np.ndarray):
    assert drop_small_islands(mask, 2)[0].tolist() == mask.tolist()
    assert fill_small_holes(mask, 2)[0].tolist() == mask.tolist()


@pytest.mark.parametrize("min_area", [1, 4, 30, 5000])
@pytest.mark.parametrize("density", [0.03, 0.3, 0.7, 0.97])
def test_both_repairs_equal_the_segment_anything_package(density: float, min_area: int):
    """Exact, on noise with holes and islands of many sizes."""
    mask = np.random.default_rng(int(density * 100)).random((60, 50)) < density
    for ours, mode in ((fill_small_holes, "holes"), (drop_small_islands, "islands")):
        expected, expected_changed = remove_small_regions(mask, min_area, mode)
        repaired, changed = ours(mask, min_area)
        assert changed == expected_changed
        np.testing.assert_array_equal(repaired, expected)


def _traced(mask: np.ndarray) -> TracedMask:
    rle = Rle.encode(mask)
    return TracedMask(index=3, rle=rle, corners=rle.corners, area=rle.area, stability=0.5)


def _check_repair(mask: np.ndarray, min_area: int) -> TracedMask:
    """Repaired in its box, a mask is what the package makes of it on the whole image."""
    before = _traced(mask)
    expected, has_holes = remove_small_regions(mask, min_area, "holes")
    expected, has_islands = remove_small_regions(expected, min_area, "islands")
    after = repair(before, min_area)
    whole = _traced(expected)
    assert after == replace(before, rle=whole.rle, corners=whole.corners, area=whole.area)
    assert (after is before) is not (has_holes or has_islands)
    return after


@st.composite
def _masks(draw: st.DrawFn) -> np.ndarray:
    """A part of an image that touches none to four of its sides, all the rest alike."""
    part = draw(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
    sides = st.tuples(st.integers(0, 6), st.integers(0, 6))
    around = draw(st.booleans()) and draw(st.booleans())
    return np.pad(part, (draw(sides), draw(sides)), constant_values=around)


@given(mask=_masks(), min_area=st.integers(0, 40))
@settings(max_examples=500, deadline=None)
def test_a_repair_in_a_masks_box_is_that_of_the_segment_anything_package(mask, min_area):
    if mask.any():
        _check_repair(mask, min_area)


@pytest.mark.parametrize("min_area", [2, 7, 8, 9, 15, 30])
@pytest.mark.parametrize("sides", range(16))
def test_the_background_beyond_a_masks_box_may_be_a_small_hole(sides, min_area):
    """A block that leaves one row or column of the image, or none, on each of its sides."""
    margins = [sides >> i & 1 for i in range(4)]
    _check_repair(np.pad(np.ones((7, 7), bool), (margins[:2], margins[2:])), min_area)


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (0, 1), (1, 0), (1, 1), (6, 5)])
def test_of_equally_large_islands_the_one_stays_that_the_package_keeps(dy, dx):
    """Which one that is depends on where they lie in the whole image."""
    mask = np.zeros((12, 14), bool)
    mask[dy + 2, dx + 1] = mask[dy + 1, dx + 4] = mask[dy + 4, dx + 7] = True
    assert _check_repair(mask, 5).area == 1


@pytest.mark.parametrize(("min_area", "area"), [(6, 34), (7, 40), (100, 40)])
def test_a_repaired_masks_box_and_area_are_new_and_the_rest_is_not(min_area, area):
    mask = np.zeros((30, 40), bool)
    mask[10:18, 20:25] = True
    mask[12:14, 21:24] = False  # six pixels of hole
    mask[2:4, 3:5] = True  # four of island
    before = _traced(mask)
    after = repair(before, min_area)
    assert (after.corners, after.area) == ((20, 10, 24, 17), area)
    assert (after.index, after.stability) == (3, 0.5)
    assert before.area == 38


def test_what_needs_no_repair_is_the_same_object():
    mask = _traced(RING)
    assert repair(mask, 1) is mask
    assert repair(mask, 0) is mask
    assert repair(_traced(np.ones((3, 4), bool)), 100).area == 12
