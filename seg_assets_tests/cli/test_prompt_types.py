import numpy as np
import pytest

from seg_assets.cli.prompt_types import PROMPT_TYPES, build_prompts, parse_box, parse_point
from seg_assets.errors import InputError

P, Q = (1.0, 2.0, 1), (3.0, 4.0, 0)
A, B = (0.0, 0.0, 5.0, 6.0), (1.0, 1.0, 7.0, 8.0)


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("500,375", (500, 375, 1)),
        ("500,375,1", (500, 375, 1)),
        ("1125.5,625,0", (1125.5, 625, 0)),
        ("-3, 4, 0", (-3, 4, 0)),
    ],
)
def test_a_point_is_x_y_and_a_label(text, point):
    assert parse_point(text) == point
    assert isinstance(parse_point(text)[2], int)


@pytest.mark.parametrize(
    "text", ["", "5", "5,", "5,x", "5,6,2", "5,6,-1", "5,6,0.5", "5,6,1,1", "5;6"]
)
def test_another_form_of_a_point_is_refused(text):
    with pytest.raises(InputError, match="write it as X,Y,LABEL in pixels"):
        parse_point(text)


def test_a_box_is_four_numbers():
    assert parse_box("425,600,700,875.5") == (425, 600, 700, 875.5)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1 2 3 4"])
def test_another_form_of_a_box_is_refused(text):
    with pytest.raises(InputError, match="write it as X0,Y0,X1,Y1 in pixels"):
        parse_box(text)


@pytest.mark.parametrize(
    ("name", "points", "boxes", "objects", "points_per_object"),
    [
        ("point", [P], [], 1, 1),
        ("point", [P, Q], [], 1, 2),
        ("point", [P, Q, P], [], 1, 3),
        ("box", [], [A], 1, 0),
        ("point_box", [P, Q], [A], 1, 2),
        ("batch_point", [P, Q, P], [], 3, 1),
        ("batch_box", [], [A, B], 2, 0),
        ("batch_point_box", [P, Q], [A, B], 2, 1),
        ("batch_box", [], [A], 1, 0),
    ],
)
def test_a_type_says_which_coordinates_make_an_object(
    name, points, boxes, objects, points_per_object
):
    prompts = build_prompts(name, points, boxes)
    assert len(prompts) == objects
    if points:
        assert np.shape(prompts.points) == (objects, points_per_object, 2)
        assert np.ravel(prompts.labels).tolist() == [point[2] for point in points]
        assert np.reshape(prompts.points, (-1, 2)).tolist() == [list(point[:2]) for point in points]
    else:
        assert prompts.points is prompts.labels is None
    if boxes:
        assert np.asarray(prompts.boxes).tolist() == [list(box) for box in boxes]
    else:
        assert prompts.boxes is None


@pytest.mark.parametrize(
    ("name", "points", "boxes"),
    [
        ("point", [], []),
        ("point", [P], [A]),
        ("box", [], []),
        ("box", [], [A, B]),
        ("box", [P], [A]),
        ("point_box", [], [A]),
        ("point_box", [P], []),
        ("point_box", [P], [A, B]),
        ("batch_point", [], []),
        ("batch_point", [P], [A]),
        ("batch_box", [P], [A]),
        ("batch_point_box", [P], [A, B]),
        ("batch_point_box", [P, Q], [A]),
        ("batch_point_box", [], []),
    ],
)
def test_other_numbers_of_coordinates_are_refused(name, points, boxes):
    message = (
        f"--type {name} takes {PROMPT_TYPES[name].takes}; "
        f"got {len(points)} --point and {len(boxes)} --box"
    )
    with pytest.raises(InputError) as caught:
        build_prompts(name, points, boxes)
    assert str(caught.value) == message
