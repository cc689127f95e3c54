"""S24: the fields of RefCOCO's style, and what is done with short polygons."""

import json
import logging

import numpy as np
import pytest

from seg_assets.data.panoptic.grounding_json import (
    Referral,
    parse_grounding_json,
    referral_json,
)
from seg_assets.errors import InputError
from seg_assets_tests.data.panoptic.tables import grid

SQUARE = (1.0, 0.0, 3.0, 0.0, 3.0, 2.0, 1.0, 2.0)
TRIANGLE = [0, 0, 4, 0, 4, 3]
CAR = Referral((SQUARE,), ("the car", "it"), 142, 1, 4, (1, 0, 2, 2))


def encoded(*annotations: dict) -> bytes:
    return json.dumps({"images": [], "annotations": annotations}).encode()


def said(text: str, **fields) -> dict:
    return {"image_id": 7, "sentences": [{"raw": text}], **fields}


def test_an_entry_has_refcocos_fields() -> None:
    entry = referral_json(CAR, image_id=7, number=3)
    assert entry == {
        "id": 3,
        "image_id": 7,
        "category_id": 1,
        "ann_id": 142,
        "segmentation": [list(SQUARE)],
        "area": 4,
        "bbox": [1, 0, 2, 2],
        "iscrowd": 0,
        "sentences": [
            {"raw": "the car", "sent": "the car", "tokens": ["the", "car"]},
            {"raw": "it", "sent": "it", "tokens": ["it"]},
        ],
    }
    assert parse_grounding_json(encoded(entry), "g.json") == {7: (CAR,)}


def test_polygons_become_masks() -> None:
    np.testing.assert_array_equal(CAR.mask(3, 4), grid("0110", "0110", "0000") == 1)


def test_files_of_others_with_few_fields_are_read() -> None:
    found = parse_grounding_json(encoded(said(" A car ", segmentation=[list(SQUARE)])), "g.json")
    assert found == {7: (Referral((SQUARE,), ("A car",)),)}


def test_short_polygons_are_left_out_and_the_box_takes_their_place() -> None:
    annotations = [
        said("both", segmentation=[TRIANGLE, list(SQUARE)]),
        said("boxed", segmentation=[TRIANGLE], bbox=[0, 0, 4, 3]),
    ]
    both, boxed = parse_grounding_json(encoded(*annotations), "g.json")[7]
    assert both.polygons == (SQUARE,)
    assert boxed.polygons == ((0, 0, 4, 0, 4, 3, 0, 3),)
    assert boxed.mask(3, 4).all()


def test_an_image_with_short_polygons_alone_is_left_to_class_names(
    caplog: pytest.LogCaptureFixture,
) -> None:
    annotations = [
        said("no box", segmentation=[TRIANGLE]),
        said("flat box", segmentation=[TRIANGLE], bbox=[0, 0, 4, 0]),
        said(" ", segmentation=[list(SQUARE)]),
        said("run lengths are no polygons", segmentation=[]),
    ]
    with caplog.at_level(logging.WARNING):
        assert parse_grounding_json(encoded(*annotations), "g.json") == {}
    assert "g.json has 4 annotations without a usable outline or without a sentence" in caplog.text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "g.json is no grounding JSON"),
        (b"[]", "g.json is no grounding JSON"),
        (encoded({"image_id": 1, "segmentation": []}), "annotations.0.sentences: Field required"),
        (encoded(said("a", segmentation={"counts": "x"})), "annotations.0.segmentation"),
    ],
)
def test_a_faulty_file_is_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_grounding_json(data, "g.json")
