import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.errors import InputError
from seg_assets.viz.region_colors import PALETTE, color_regions


def test_palette_colours_are_all_different():
    assert len({tuple(color) for color in PALETTE.tolist()}) == len(PALETTE)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.int32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 12)
    )
)
def test_neighbours_never_share_a_colour_and_no_region_is_black(region_map):
    colors = color_regions(region_map).astype(np.int64)
    codes = colors @ (65536, 256, 1)
    assert ((codes == 0) == (region_map == 0)).all()
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        differ = region_map[first] != region_map[second]
        assert (codes[first] != codes[second])[differ].all()


def test_a_region_has_one_colour_wherever_it_lies():
    colors = color_regions(np.array([[5, 0, 5], [0, 9, 0]], np.int32))
    assert np.array_equal(colors[0, 0], colors[0, 2])


def test_more_regions_than_colours_still_get_colours():
    region_map = np.arange(1, 201, dtype=np.int32).reshape(10, 20)
    assert (color_regions(region_map).sum(axis=2) > 0).all()


def test_a_map_without_pixels_is_fine():
    assert color_regions(np.zeros((0, 4), np.int32)).shape == (0, 4, 3)


def test_negative_ids_are_refused():
    with pytest.raises(InputError, match="negative"):
        color_regions(np.array([[-1]], np.int32))
