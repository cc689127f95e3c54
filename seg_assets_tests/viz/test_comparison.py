"""Pictures of an image beside its truth and label maps."""

import numpy as np

from seg_assets.classes.table import load_class_table
from seg_assets.viz.comparison import HEIGHT, RIGHT, WRONG, draw_comparison, draw_errors

TABLE = load_class_table("camvid11")


def test_wrong_pixels_are_red_right_ones_green_and_unknown_ones_grey():
    image = np.full((1, 3, 3), 100, np.uint8)
    drawn = draw_errors(image, np.array([[0, 1, 1]], np.uint8), np.array([[0, 0, 255]], np.uint8))
    right, wrong, unknown = drawn[0].astype(int)
    assert right.argmax() == np.argmax(RIGHT)
    assert wrong.argmax() == np.argmax(WRONG)
    assert unknown.tolist() == [100, 100, 100]


def test_all_label_sets_are_shown_beside_image_truth_and_errors():
    image = np.zeros((40, 60, 3), np.uint8)
    truth = np.zeros((40, 60), np.uint8)
    one = draw_comparison(image, truth, {"a": truth}, TABLE)
    two = draw_comparison(image, truth, {"a": truth, "b": truth}, TABLE)
    assert two.shape[1] - one.shape[1] >= 60


def test_large_images_are_shrunk_without_inventing_classes():
    image = np.zeros((4 * HEIGHT, 40, 3), np.uint8)
    truth = np.zeros((4 * HEIGHT, 40), np.uint8)
    truth[:, 20:] = 2
    sheet = draw_comparison(image, truth, {"a": truth}, TABLE)
    assert HEIGHT < sheet.shape[0] < 2 * HEIGHT
    colors = {tuple(color) for color in sheet.reshape(-1, 3).tolist()}
    middle = tuple(np.rint(np.mean(TABLE.palette()[[0, 2]], axis=0) * 0.75).astype(int).tolist())
    assert middle not in colors
