"""What may be a prompt, and the sentence for what may not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_assets.errors import InputError
from seg_assets.masks.prompts import Prompts

LOGITS = np.zeros((1, 4, 4), np.float32)


def test_lists_become_arrays():
    prompts = Prompts(
        points=[[[1, 2], [3, 4]]], labels=[[1, 0]], boxes=[[0, 1, 5, 6]], mask_logits=[[[0.5]]]
    )
    arrays = (prompts.points, prompts.labels, prompts.boxes, prompts.mask_logits)
    assert [np.asarray(array).dtype for array in arrays] == ["f8", "i8", "f8", "f4"]
    assert [np.asarray(array).tolist() for array in arrays] == [
        [[[1, 2], [3, 4]]], [[1, 0]], [[0, 1, 5, 6]], [[[0.5]]],
    ]  # fmt: skip
    assert len(prompts) == 1


def test_one_object_is_a_batch_of_one():
    prompts = Prompts.of_object(points=[(1, 2)], labels=[1], box=(0, 0, 4, 4), mask_logits=[[0.0]])
    shapes = [
        np.shape(values)
        for values in (prompts.points, prompts.labels, prompts.boxes, prompts.mask_logits)
    ]
    assert shapes == [(1, 1, 2), (1, 1), (1, 4), (1, 1, 1)]


def test_a_slice_holds_some_of_the_objects():
    boxes = [[n, n, n + 2, n + 3] for n in range(5)]
    some = Prompts(boxes=boxes)[1:3]
    assert np.asarray(some.boxes).tolist() == boxes[1:3]
    assert some.points is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "there is no prompt"),
        ({"points": [[1, 2]], "labels": [[1]]}, r"points must have the shape \(N, P, 2\)"),
        ({"points": [[[1, 2, 3]]], "labels": [[1]]}, r"points must have the shape \(N, P, 2\)"),
        ({"points": np.zeros((1, 0, 2)), "labels": np.zeros((1, 0))}, "points must have the shape"),
        ({"points": [[[1, "a"]]], "labels": [[1]]}, "points must be numbers"),
        ({"points": [[[1, 2]], [[1]]], "labels": [[1]]}, "points must be numbers"),
        ({"points": [[[1, 2]]]}, "points and labels belong together"),
        ({"labels": [[1]]}, "points and labels belong together"),
        ({"points": [[[1, 2]]], "labels": [1]}, r"need labels of shape \(1, 1\), got \(1,\)"),
        ({"points": [[[1, 2]]], "labels": [[1, 0]]}, r"need labels of shape \(1, 1\)"),
        ({"points": [[[1, 2]]], "labels": [[1], [1, 0]]}, "labels must be numbers"),
        ({"points": [[[1, 2]]], "labels": [[-1]]}, "label must be 1 .* or 0"),
        ({"points": [[[1, 2]]], "labels": [[0.5]]}, "label must be 1 .* or 0"),
        ({"points": [[[1, float("nan")]]], "labels": [[1]]}, "points hold a value that is no"),
        ({"boxes": [1, 2, 3, 4]}, r"boxes must have the shape \(N, 4\), got \(4,\)"),
        ({"boxes": [[1, 2, 3]]}, r"boxes must have the shape \(N, 4\)"),
        ({"boxes": [[3, 2, 3, 4]]}, "the box 3,2,3,4 is empty or its corners are swapped"),
        ({"boxes": [[0, 0, 1, 1], [1, 5.5, 3, 4]]}, "the box 1,5.5,3,4 is empty or its corners"),
        ({"boxes": [[0, 0, float("inf"), 4]]}, "boxes hold a value that is no finite number"),
        ({"mask_logits": np.zeros((4, 4))}, r"mask logits must have the shape \(N, h, w\)"),
        (
            {"boxes": [[0, 0, 1, 1], [0, 0, 2, 2]], "mask_logits": LOGITS},
            "there are boxes of 2, mask logits of 1 objects",
        ),
    ],
)
def test_wrong_prompts_are_one_sentence(given, message):
    with pytest.raises(InputError, match=message) as caught:
        Prompts(**given)
    assert "\n" not in str(caught.value)


def test_an_object_of_uneven_lists_is_refused():
    with pytest.raises(InputError, match="must be of equal lengths"):
        Prompts.of_object(points=[(1, 2), (3,)], labels=[1, 0])  # pyright: ignore


@pytest.mark.parametrize("point", [(-0.1, 5), (5, -1), (80.5, 5), (5, 51), (60, 70)])
def test_points_outside_the_image_are_refused(point):
    prompts = Prompts.of_object(points=[(3, 3), point], labels=[1, 0])
    with pytest.raises(InputError, match=f"the point {point[0]},{point[1]} lies outside .*80 x 50"):
        prompts.check_inside(height=50, width=80)


@pytest.mark.parametrize("box", [(-2, 0, 5, 5), (0, 0, 81.5, 5), (0, 0, 50, 52), (90, 0, 95, 5)])
def test_boxes_outside_the_image_are_refused(box):
    prompts = Prompts(boxes=[(0, 0, 80, 50), box])
    with pytest.raises(InputError, match=r"sticks out of the image.*80 x 50 pixels \(width x h"):
        prompts.check_inside(height=50, width=80)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_what_lies_in_the_image_is_accepted_and_what_lies_beyond_is_not(height, width, data):
    x = data.draw(st.floats(0, width, allow_subnormal=False))
    y = data.draw(st.floats(0, height, allow_subnormal=False))
    Prompts.of_object(
        points=[(x, y)], labels=[1], box=(-1, -1, width + 1, height + 1)
    ).check_inside(height, width)
    beyond = Prompts.of_object(points=[(x + width + 0.5, y)], labels=[1])
    with pytest.raises(InputError, match="lies outside the image"):
        beyond.check_inside(height, width)
