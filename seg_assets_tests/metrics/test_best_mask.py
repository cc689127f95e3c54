import numpy as np
import pytest

from seg_assets.errors import InputError
from seg_assets.metrics.best_mask import ObjectMatch, grid_discs, match_objects

OBJECTS = np.array([[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 0, 2]])


def test_each_object_gets_its_best_mask():
    left, column, all_pixels = OBJECTS == 1, np.zeros((3, 4), bool), np.ones((3, 4), bool)
    column[:2, 3] = True
    assert match_objects(OBJECTS, [all_pixels, left, column]) == [
        ObjectMatch(1, 4, 1.0, 1),
        ObjectMatch(2, 3, 2 / 3, 2),
    ]


def test_of_equal_masks_the_first_counts():
    assert match_objects(OBJECTS, [OBJECTS == 2, OBJECTS == 2])[1].mask == 0


def test_an_object_that_no_mask_touches_counts_as_zero():
    assert match_objects(OBJECTS, [OBJECTS == 1])[1] == ObjectMatch(2, 3, 0.0, None)
    assert [match.iou for match in match_objects(OBJECTS, [])] == [0.0, 0.0]


def test_small_objects_can_be_left_out():
    assert [match.object_id for match in match_objects(OBJECTS, [], smallest=4)] == [1]


@pytest.mark.parametrize("mask", [np.zeros((4, 3), bool), np.zeros((3, 4), np.uint8)])
def test_a_mask_of_another_kind_is_refused(mask):
    with pytest.raises(InputError, match="mask 0"):
        match_objects(OBJECTS, [mask])


def test_discs_lie_round_the_points_of_the_grid():
    discs = list(grid_discs(8, 8, 2, (0.125, 0.25)))
    assert len(discs) == 2 * 2 * 2
    assert [int(disc.sum()) for disc in discs[:2]] == [4, 12]
    assert discs[0][1:3, 1:3].all()
    assert discs[-2][5:7, 5:7].all()
