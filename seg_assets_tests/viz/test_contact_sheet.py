import numpy as np
import pytest

from seg_assets.classes.table import load_class_table
from seg_assets.errors import InputError, UnknownClassError
from seg_assets.viz.contact_sheet import GAP, contact_sheet, legend, legend_of, side_by_side
from seg_assets.viz.text import shorten, text_strip, text_width

TABLE = load_class_table("merged19")
RED = np.full((20, 30, 3), (200, 0, 0), np.uint8)
BLUE = np.full((20, 40, 3), (0, 0, 200), np.uint8)


def test_pictures_keep_their_pixels_and_order():
    sheet = contact_sheet([[RED, BLUE]])
    assert sheet.dtype == np.uint8
    assert sheet.shape == (20 + 2 * GAP, 30 + 40 + 3 * GAP, 3)
    assert np.array_equal(sheet[GAP : GAP + 20, GAP : GAP + 30], RED)
    assert np.array_equal(sheet[GAP : GAP + 20, 2 * GAP + 30 : 2 * GAP + 70], BLUE)


def test_captions_and_titles_add_lines_with_ink():
    plain = contact_sheet([[RED], [BLUE]])
    written = contact_sheet([[RED], [BLUE]], ["first", "second"], titles=["picture"])
    assert written.shape[0] > plain.shape[0] + 40
    assert written[-GAP - 15 : -GAP].min() < 120


def test_rows_may_differ_in_length_and_be_empty():
    sheet = contact_sheet([[RED, BLUE], [], [RED]], ["two", "none", "one"])
    assert sheet.shape[1] == 30 + 40 + 3 * GAP


@pytest.mark.parametrize("rows", [[], [[]], [[], []]])
def test_no_pictures_give_a_small_white_sheet(rows):
    sheet = contact_sheet(rows, ["caption"])
    assert (sheet == 255).all()


def test_pictures_of_a_row_are_brought_to_one_height():
    tall = np.full((40, 20, 3), 50, np.uint8)
    assert contact_sheet([[RED, tall]]).shape == (20 + 2 * GAP, 30 + 10 + 3 * GAP, 3)
    assert contact_sheet([[tall]], cell_height=10).shape == (10 + 2 * GAP, 5 + 2 * GAP, 3)


def test_side_by_side_writes_a_caption_over_each():
    assert side_by_side([RED, BLUE], ["a", "b"]).shape[0] > side_by_side([RED, BLUE]).shape[0]


def test_legend_shows_the_class_colours():
    picture = legend(TABLE, [1, 3], shares=[0.75, 0.0004])
    colors = {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}
    assert {TABLE.classes[1].color, TABLE.classes[3].color} <= colors


def test_legend_in_columns_is_wider_and_lower():
    one, two = legend(TABLE, range(6)), legend(TABLE, range(6), columns=2)
    assert two.shape[1] > one.shape[1]
    assert two.shape[0] < one.shape[0]


def test_legend_without_classes_is_white():
    assert (legend(TABLE, []) == 255).all()
    assert (legend_of(TABLE, np.full((2, 2), 255, np.uint8)) == 255).all()


def test_legend_of_a_map_lists_the_most_frequent_class_first():
    label_map = np.array([[3, 3, 3], [1, 255, 3]], np.uint8)
    expected = legend(TABLE, [3, 1], shares=[4 / 6, 1 / 6])
    assert np.array_equal(legend_of(TABLE, label_map), expected)


def test_legend_refuses_shares_that_do_not_fit_and_unknown_classes():
    with pytest.raises(InputError, match="2 classes but 1 shares"):
        legend(TABLE, [0, 1], shares=[0.5])
    with pytest.raises(UnknownClassError):
        legend(TABLE, [19])


def test_long_text_is_cut_to_its_width():
    cut = shorten("a very long image identifier", 14, 80)
    assert cut.endswith("…")
    assert text_width(cut, 14) <= 80
    assert shorten("short", 14, 80) == "short"
    assert text_strip("a very long image identifier", 40).shape[1] == 40
