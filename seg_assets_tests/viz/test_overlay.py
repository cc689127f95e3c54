import numpy as np
import pytest

from seg_assets.classes.table import load_class_table
from seg_assets.errors import InputError, UnknownClassError
from seg_assets.viz.overlay import draw_regions, find_contours, overlay

TABLE = load_class_table("merged19")
GREY = np.full((4, 6, 3), 100, np.uint8)


def test_contours_lie_on_one_side_of_a_border():
    ids = np.array([[1, 1, 2], [1, 1, 2], [3, 3, 3]])
    expected = [[False, True, False], [True, True, True], [False, False, False]]
    assert find_contours(ids).tolist() == expected


def test_one_region_has_no_contour():
    assert not find_contours(np.ones((3, 3), np.int32)).any()


def test_overlay_blends_the_class_colour_and_leaves_unlabelled_pixels():
    label_map = np.full((4, 6), 3, np.uint8)
    label_map[:, 4:] = 255
    drawn = overlay(GREY, label_map, TABLE, alpha=0.5)
    color = np.array(TABLE.classes[3].color)
    assert np.array_equal(drawn[0, 0], (50 + color / 2 + 0.5).astype(np.uint8))
    assert np.array_equal(drawn[0, 5], GREY[0, 5])
    assert (drawn[:, 3] < drawn[:, 2] + 1).all()  # the contour is darker


def test_overlay_of_an_unlabelled_map_is_the_image():
    assert np.array_equal(overlay(GREY, np.full((4, 6), 255, np.uint8), TABLE), GREY)


def test_overlay_does_not_change_its_inputs():
    image, label_map = GREY.copy(), np.zeros((4, 6), np.uint8)
    overlay(image, label_map, TABLE)
    assert np.array_equal(image, GREY)
    assert not label_map.any()


def test_no_region_leaves_the_image():
    assert np.array_equal(draw_regions(GREY, np.zeros((4, 6), np.int32)), GREY)


def test_regions_are_coloured_and_the_rest_is_not():
    regions = np.zeros((4, 6), np.int32)
    regions[:2, :3] = 7
    drawn = draw_regions(GREY, regions)
    assert not np.array_equal(drawn[0, 0], GREY[0, 0])
    assert np.array_equal(drawn[3, 5], GREY[3, 5])


@pytest.mark.parametrize(
    "draw", [lambda ids: overlay(GREY, ids, TABLE), lambda ids: draw_regions(GREY, ids)]
)
def test_a_map_of_another_size_is_refused(draw):
    with pytest.raises(InputError, match="4 x 6"):
        draw(np.zeros((4, 5), np.uint8))


def test_an_unknown_class_is_named():
    with pytest.raises(UnknownClassError, match="19"):
        overlay(GREY, np.full((4, 6), 19, np.uint8), TABLE)
