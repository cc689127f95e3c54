import numpy as np
import pytest

from seg_assets.data.instance_image import InstanceImage, mask_box, stack_objects
from seg_assets.errors import ImageError

IMAGE = np.zeros((3, 4, 3), np.uint8)
CORNER = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
SQUARE = np.array([[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], bool)
NOTHING = np.zeros((3, 4), bool)


@pytest.mark.parametrize(
    ("mask", "box"),
    [(CORNER, (0, 0, 1, 1)), (SQUARE, (2, 1, 4, 3)), (~NOTHING, (0, 0, 4, 3)), (NOTHING, (0,) * 4)],
)
def test_boxes_are_the_edges_of_pixels(mask: np.ndarray, box: tuple[int, ...]) -> None:
    assert mask_box(mask) == box


def test_objects_are_stacked_in_their_order() -> None:
    image = stack_objects(
        "a", IMAGE, [SQUARE, CORNER], boxes=[None, (0, 0, 1.5, 1)], class_ids=[3, 4], crowd=[0, 1]
    )
    np.testing.assert_array_equal(image.masks, [SQUARE, CORNER])
    np.testing.assert_array_equal(image.boxes, np.float32([[2, 1, 4, 3], [0, 0, 1.5, 1]]))
    assert image.class_ids.tolist() == [3, 4]
    assert image.crowd.tolist() == [False, True]
    assert [a.dtype for a in (image.masks, image.boxes, image.class_ids, image.crowd)] == [
        np.bool_,
        np.float32,
        np.int64,
        np.bool_,
    ]


def test_objects_without_a_pixel_are_left_out_with_all_that_is_theirs() -> None:
    image = stack_objects(
        "a", IMAGE, [NOTHING, CORNER], boxes=[(1, 1, 2, 2), None], class_ids=[7, 8], crowd=[1, 0]
    )
    np.testing.assert_array_equal(image.masks, [CORNER])
    assert image.boxes.tolist() == [[0, 0, 1, 1]]
    assert image.class_ids.tolist() == [8]
    assert image.crowd.tolist() == [False]


def test_no_objects_keep_the_shapes() -> None:
    image = stack_objects("a", IMAGE, [])
    assert image.masks.shape == (0, 3, 4)
    assert image.boxes.shape == (0, 4)
    assert image.class_ids.shape == image.crowd.shape == (0,)
    assert [a.dtype for a in (image.masks, image.boxes, image.class_ids, image.crowd)] == [
        np.bool_,
        np.float32,
        np.int64,
        np.bool_,
    ]


def test_objects_have_no_class_and_are_no_group_unless_told() -> None:
    image = stack_objects("a", IMAGE, [CORNER])
    assert image.class_ids.tolist() == [-1]
    assert image.crowd.tolist() == [False]


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(ImageError, match=r"^image a is 3 x 4 pixels, its masks are 4 x 3: give"):
        stack_objects("a", IMAGE, [CORNER.T])
    wide = np.zeros((1, 3, 5), bool)
    with pytest.raises(ImageError, match="image b is 3 x 4 pixels, its masks are 3 x 5"):
        InstanceImage("b", IMAGE, wide, np.zeros((1, 4)), np.zeros(1), np.zeros(1))
