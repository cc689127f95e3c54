import numpy as np
import pytest

from seg_assets.errors import InputError
from seg_assets.viz.prompts import BOX, EDGE, MASK_COLORS, NEGATIVE, POSITIVE, draw_prompted_masks

GREY = np.full((50, 80, 3), 100, np.uint8)
NOTHING = np.zeros((1, 50, 80), np.bool_)


def _where(picture: np.ndarray, color: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of a colour."""
    rows, columns = np.nonzero((picture == color).all(-1))
    return columns, rows


def test_positive_points_are_green_stars_and_negative_ones_red():
    drawn = draw_prompted_masks(GREY, NOTHING, np.array([[20, 10], [60, 35]]), np.array([1, 0]))
    for color, (x, y) in ((POSITIVE, (20, 10)), (NEGATIVE, (60, 35))):
        columns, rows = _where(drawn, color)
        assert (x, y) in zip(columns, rows, strict=True)
        assert np.hypot(columns - x, rows - y).max() <= 5
    assert POSITIVE[1] > max(POSITIVE[0], POSITIVE[2])
    assert NEGATIVE[0] > max(NEGATIVE[1], NEGATIVE[2])


def test_a_star_has_a_light_edge_and_points_upwards():
    image = np.full((600, 1000, 3), 100, np.uint8)
    point = np.array([[500, 300]])
    drawn = draw_prompted_masks(image, np.zeros((1, 600, 1000), bool), point, np.array([1]))
    columns, rows = _where(drawn, EDGE)
    tip = rows.argmin()
    assert abs(columns[tip] - 500) <= 1
    assert 300 - rows[tip] == pytest.approx(20, abs=2)  # a fiftieth of the longer side
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 10  # its edges are smooth


@pytest.mark.parametrize("point", [(0, 0), (80, 50), (79, 0)])
def test_a_star_at_the_edge_is_cut_off(point):
    drawn = draw_prompted_masks(GREY, NOTHING, np.array([point]), np.array([1]))
    assert drawn.shape == GREY.shape
    assert 0 < (drawn != GREY).any(-1).sum() < 60


def test_a_box_is_an_outline():
    drawn = draw_prompted_masks(GREY, NOTHING, boxes=np.array([[10, 20, 30, 45]]))
    columns, rows = _where(drawn, BOX)
    corners = (columns.min(), rows.min(), columns.max(), rows.max())
    assert corners == (10, 20, 30, 45)
    assert (drawn[21:45, 11:30] == GREY[21:45, 11:30]).all()


def test_lines_grow_with_the_image():
    image = np.zeros((600, 1200, 3), np.uint8)
    box = np.array([[100, 200, 300, 400]])
    drawn = draw_prompted_masks(image, np.zeros((1, 600, 1200), bool), boxes=box)
    assert (drawn[300] == BOX).all(-1).sum() == 2 * 3


def test_each_object_s_mask_has_its_colour_and_the_smaller_one_is_seen():
    masks = np.zeros((2, 50, 80), np.bool_)
    masks[0, 10:20, 10:20] = True
    masks[1, 5:40, 5:60] = True
    drawn = draw_prompted_masks(GREY, masks, alpha=0.5)
    half = (100 + MASK_COLORS[:2].astype(float)) / 2 + 0.5
    assert drawn[15, 15].tolist() == half[0].astype(np.uint8).tolist()
    assert drawn[30, 30].tolist() == half[1].astype(np.uint8).tolist()
    assert (drawn[45, 70] == 100).all()


def test_more_objects_than_colours_begin_again():
    masks = np.zeros((len(MASK_COLORS) + 1, 50, 80), np.bool_)
    for n in range(len(masks)):
        masks[n, :, 8 * n : 8 * n + 6] = True
    drawn = draw_prompted_masks(GREY, masks)
    assert drawn[20, 2].tolist() == drawn[20, 8 * len(MASK_COLORS) + 2].tolist()
    assert drawn[20, 2].tolist() != drawn[20, 10].tolist()


def test_mask_colours_are_neither_those_of_the_prompts():
    for color in MASK_COLORS.astype(int):
        for prompt in (POSITIVE, NEGATIVE):
            assert np.abs(color - prompt).sum() > 100


def test_nothing_to_draw_leaves_the_image_and_the_input_is_never_changed():
    image = GREY.copy()
    assert np.array_equal(draw_prompted_masks(image, NOTHING), GREY)
    draw_prompted_masks(image, ~NOTHING, np.array([[3, 3]]), np.array([1]))
    assert np.array_equal(image, GREY)


def test_no_objects_are_drawn_as_nothing():
    assert np.array_equal(draw_prompted_masks(GREY, np.zeros((0, 50, 80), bool)), GREY)


def test_masks_of_another_size_and_points_without_labels_are_refused():
    with pytest.raises(InputError, match="do not lie on an image of shape"):
        draw_prompted_masks(GREY, np.zeros((1, 80, 50), bool))
    with pytest.raises(InputError, match="1 points need as many labels, got 0"):
        draw_prompted_masks(GREY, NOTHING, np.array([[3, 3]]))
