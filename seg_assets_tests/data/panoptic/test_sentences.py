"""S24: what is said about segments."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_assets.data.panoptic.segments import Segment, describe_segments
from seg_assets.data.panoptic.sentences import (
    UserSentences,
    assign_user_sentences,
    describe,
    read_user_sentences,
    spoken_name,
)
from seg_assets.errors import InputError
from seg_assets_tests.data.panoptic.tables import CAR, PERSON, ROAD, SKY, STREET, grid

SIZE = (90, 120)


def car(number: int, x: int, y: int = 40, size: int = 10, *, crowd: bool = False) -> Segment:
    return Segment(number, CAR.id, size * size, (x, y, size, size), crowd)


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("wall-other-merged", "wall"),
        ("tree-merged", "tree"),
        ("door-stuff", "door"),
        ("wall-brick", "wall brick"),
        ("Traffic_Light", "traffic light"),
        ("SignSymbol", "sign symbol"),
        ("potted plant", "potted plant"),
    ],
)
def test_names_are_spoken_without_the_words_of_data_sets(name: str, spoken: str) -> None:
    assert spoken_name(name) == spoken


def test_stuff_is_named_and_nothing_more() -> None:
    sky = Segment(1, SKY.id, 100, (0, 0, 120, 5))
    assert describe([sky], STREET, SIZE) == {1: ("the sky",)}


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [
        (0, 0, "at the top left"),
        (55, 0, "at the top"),
        (110, 0, "at the top right"),
        (0, 40, "on the left"),
        (55, 40, "in the middle"),
        (110, 40, "on the right"),
        (0, 80, "at the bottom left"),
        (55, 80, "at the bottom"),
        (110, 80, "at the bottom right"),
    ],
)
def test_the_only_thing_of_its_kind_is_named_with_its_place(x: int, y: int, place: str) -> None:
    assert describe([car(1, x, y)], STREET, SIZE) == {1: ("the car", f"the car {place}")}


def test_several_things_are_told_apart() -> None:
    person = Segment(9, PERSON.id, 4, (60, 40, 2, 2))
    cars = [car(3, 100), car(1, 10), car(2, 0, size=20)]
    assert describe([*cars, person], STREET, SIZE) == {
        2: ("the first car from the left", "the leftmost car", "the largest car"),
        1: ("the second car from the left",),
        3: ("the third car from the left", "the rightmost car", "the car on the right"),
        9: ("the person", "the person in the middle"),
    }


def test_crowds_are_not_described() -> None:
    assert describe([car(1, 0), car(2, 60, crowd=True)], STREET, SIZE) == {
        1: ("the car", "the car on the left")
    }


def test_later_ordinals_are_numbers() -> None:
    cars = [car(number, x=number, size=1) for number in range(1, 114)]
    said = describe(cars, STREET, SIZE)
    found = [said[number][0].split()[1] for number in (10, 11, 12, 13, 21, 22, 23, 24, 111)]
    assert found == ["tenth", "11th", "12th", "13th", "21st", "22nd", "23rd", "24th", "111th"]


@given(st.lists(st.tuples(st.integers(0, 110), st.integers(0, 80), st.integers(1, 9)), max_size=9))
def test_no_two_segments_share_a_sentence(places: list[tuple[int, int, int]]) -> None:
    cars = [car(number, x, y, size) for number, (x, y, size) in enumerate(places, 1)]
    sentences = [text for said in describe(cars, STREET, SIZE).values() for text in said]
    assert len(sentences) == len(set(sentences)) >= len(cars)


def test_positions_may_be_left_out() -> None:
    said = describe([car(1, 0), car(2, 60)], STREET, SIZE, positions=False)
    assert said == {1: ("the car",), 2: ("the car",)}


SEGMENTED = describe_segments(grid("0113", "0113"), {1: ROAD.id, 3: CAR.id})


def test_a_users_sentences_go_to_the_segment_under_the_point() -> None:
    data = {
        "a": [{"point": [3, 1], "sentences": ["my car"]}, {"point": [3, 0], "sentences": ["it"]}]
    }
    user = read_user_sentences(json.dumps(data).encode(), "s.json")
    assert user == {"a": (UserSentences((3, 1), ("my car",)), UserSentences((3, 0), ("it",)))}
    assert assign_user_sentences(SEGMENTED, user["a"], "a") == {3: ("my car", "it")}


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ((0, 0), r"'my car' of a is for the pixel \(0, 0\), which has no segment"),
        ((4, 0), r"the pixel \(4, 0\), which is outside the 4 x 2 image"),
        ((0, -1), "is outside"),
    ],
)
def test_a_point_without_a_segment_is_a_sentence(point: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        assign_user_sentences(SEGMENTED, [UserSentences(point, ("my car",))], "a")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"a": [{"point": [1, 2]}]}', '{"a": [{"point": [1, 2], "sentences": []}]}']
)
def test_a_faulty_file_is_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"s\.json holds no sentences: .*; write "):
        read_user_sentences(text.encode(), "s.json")
