"""S24: polygons of at least 8 numbers that give the mask back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.data.panoptic.polygons import box_polygon, fill_polygons, outline_mask
from seg_assets_tests.data.panoptic.tables import grid

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(hnp.arrays(bool, SHAPES))
def test_the_outline_of_any_mask_fills_exactly_it(mask: np.ndarray) -> None:
    polygons = outline_mask(mask)
    assert all(len(polygon) >= 8 and len(polygon) % 2 == 0 for polygon in polygons)
    np.testing.assert_array_equal(fill_polygons(polygons, *mask.shape), mask)


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (("010", "000"), [(1, 0, 1, 1, 2, 1, 2, 0)]),
        (("110", "001"), 1),  # touching at a corner is one part
        (("101", "101"), 2),
        (("11111", "10001", "10101", "10001", "11111"), 2),  # an island in a hole
    ],
)
def test_each_part_is_a_polygon(rows, parts) -> None:
    polygons = outline_mask(grid(*rows) == 1)
    if isinstance(parts, int):
        assert len(polygons) == parts
    else:
        assert [set(zip(p[::2], p[1::2], strict=True)) for p in polygons] == [
            set(zip(p[::2], p[1::2], strict=True)) for p in parts
        ]


def test_nothing_has_no_outline() -> None:
    assert outline_mask(np.zeros((3, 4), bool)) == ()
    assert not fill_polygons((), 3, 4).any()


def test_tolerance_saves_corners_and_costs_little() -> None:
    y, x = np.mgrid[:200, :200]
    disc = (x - 100) ** 2 + (y - 90) ** 2 < 70**2
    (exact,) = outline_mask(disc)
    (thin,) = outline_mask(disc, tolerance=1.0)
    assert len(thin) < len(exact) / 5
    filled = fill_polygons([thin], 200, 200)
    assert (filled & disc).sum() / (filled | disc).sum() > 0.97


def test_a_part_that_tolerance_would_flatten_keeps_its_corners() -> None:
    line = grid("0000", "0110", "0000") == 1
    (polygon,) = outline_mask(line, tolerance=5.0)
    assert len(polygon) == 8
    np.testing.assert_array_equal(fill_polygons([polygon], 3, 4), line)


def test_a_box_is_a_polygon() -> None:
    filled = fill_polygons([box_polygon((1, 0, 2, 2))], 3, 4)
    np.testing.assert_array_equal(filled, grid("0110", "0110", "0000") == 1)
