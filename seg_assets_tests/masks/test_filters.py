import numpy as np
import pytest

from seg_assets.masks.filters import distinct_boxes, drop_small_islands, fill_small_holes

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
