import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seg_assets.data.ct.components import Removed, remove_small_parts

SLICE = np.array(
    [
        [1, 1, 0, 0, 2],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [2, 0, 0, 0, 1],
        [2, 2, 0, 1, 1],
    ],
    np.uint8,
)


def test_parts_of_fewer_pixels_go_and_others_stay() -> None:
    # corners connect, so label 1 has a part of 5 in the upper left and one of 3
    cleaned, removed = remove_small_parts(SLICE, 3)
    expected = SLICE.copy()
    expected[0, 4] = 0
    np.testing.assert_array_equal(cleaned, expected)
    assert removed == Removed(1, 1)
    cleaned, removed = remove_small_parts(SLICE, 4)
    np.testing.assert_array_equal(
        cleaned > 0, [[1, 1, 0, 0, 0]] * 2 + [[0, 0, 1, 0, 0]] + [[0] * 5] * 2
    )
    assert removed == Removed(3, 7)


def test_touching_labels_are_apart() -> None:
    cleaned, removed = remove_small_parts(np.array([[1, 1, 1, 2]]), 2)
    assert cleaned.tolist() == [[1, 1, 1, 0]]
    assert removed == Removed(1, 1)


def test_voxels_that_share_a_corner_are_connected() -> None:
    diagonal = np.zeros((4, 4, 4), np.uint8)
    diagonal[range(4), range(4), range(4)] = 7
    np.testing.assert_array_equal(remove_small_parts(diagonal, 4)[0], diagonal)
    assert not remove_small_parts(diagonal, 5)[0].any()


def test_the_input_is_left_as_it_is() -> None:
    labels = SLICE.copy()
    remove_small_parts(labels, 100)
    np.testing.assert_array_equal(labels, SLICE)


def test_nothing_is_removed_from_background_or_below_two() -> None:
    empty = np.zeros((3, 3), np.uint8)
    assert remove_small_parts(empty, 5)[1] == Removed()
    for size in (0, 1):
        cleaned, removed = remove_small_parts(SLICE, size)
        np.testing.assert_array_equal(cleaned, SLICE)
        assert removed == Removed()


@given(arrays.arrays(np.uint8, (6, 7), elements=st.integers(0, 3)), st.integers(0, 9))
def test_it_only_removes_and_a_second_time_finds_nothing(labels: np.ndarray, size: int) -> None:
    cleaned, removed = remove_small_parts(labels, size)
    assert ((cleaned == labels) | (cleaned == 0)).all()
    assert removed.pixels == (labels > 0).sum() - (cleaned > 0).sum()
    assert remove_small_parts(cleaned, size)[1] == Removed()
