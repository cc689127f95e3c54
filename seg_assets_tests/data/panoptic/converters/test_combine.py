"""S26: a semantic and an instance prediction become a panoptic one, with panopticapi's rules."""

import numpy as np
import pytest

from seg_assets.data.panoptic.converters.combine import combine_predictions
from seg_assets.data.panoptic.converters.detection import Detection
from seg_assets.data.panoptic.segments import SegmentedImage, find_faults
from seg_assets.errors import InputError
from seg_assets_tests.data.panoptic.tables import CAR, PERSON, ROAD, STREET, grid

LABELS = grid("00000000", "11111122", "111111..")


def mask(*rows: str) -> np.ndarray:
    return grid(*rows) == 1


WIDE = mask("00000000", "11110000", "00000000")


def combine(*detections: Detection, **options) -> SegmentedImage:
    options = {"min_stuff_pixels": 1, **options}
    return combine_predictions(LABELS, detections, STREET, image="a", **options)


def kinds(image: SegmentedImage) -> list[tuple[str, int]]:
    assert find_faults(image, STREET) == []
    return sorted((STREET.by_id(s.category_id).name, s.area) for s in image.segments)


def test_things_take_their_pixels_and_stuff_fills_the_rest() -> None:
    image = combine(Detection(WIDE, CAR.id, 0.9))
    # the label map's own cars are left out: things come from detections
    assert kinds(image) == [("car", 4), ("road", 8), ("sky", 8)]
    assert (image.ids == 0).sum() == 4


def test_detections_below_the_score_are_dropped() -> None:
    assert kinds(combine(Detection(WIDE, CAR.id, 0.49))) == [("road", 12), ("sky", 8)]
    assert ("car", 4) in kinds(combine(Detection(WIDE, CAR.id, 0.5)))


def test_the_better_score_wins_whatever_the_order() -> None:
    car, person = Detection(WIDE, CAR.id, 0.6), Detection(WIDE, PERSON.id, 0.9)
    for pair in ((car, person), (person, car)):
        assert [name for name, _ in kinds(combine(*pair))] == ["person", "road", "sky"]


@pytest.mark.parametrize(
    ("second", "area"),
    [
        (mask("00000000", "00111100", "00000000"), 2),  # half is taken: the rest is painted
        (mask("00000000", "01111100", "00000000"), None),  # three of five are taken
        (mask("00000000", "00000000", "00000000"), None),
    ],
)
def test_a_detection_that_is_taken_for_the_most_part_is_dropped(second, area) -> None:
    found = dict(kinds(combine(Detection(WIDE, CAR.id, 0.9), Detection(second, PERSON.id, 0.8))))
    assert found.get("person") == area
    assert found["car"] == 4


def test_small_stuff_is_left_out_by_its_free_pixels() -> None:
    road = mask("00000000", "11111100", "00000000")
    assert kinds(combine(Detection(road, CAR.id, 0.9), min_stuff_pixels=7)) == [
        ("car", 6),
        ("sky", 8),
    ]
    assert kinds(combine(min_stuff_pixels=9)) == [("road", 12)]


@pytest.mark.parametrize(
    ("detection", "message"),
    [
        (Detection(WIDE, ROAD.id), "a detection of a is 'road', which is stuff"),
        (Detection(WIDE[:1], CAR.id), r"a mask of a has shape \(1, 8\), the label map \(3, 8\)"),
    ],
)
def test_faulty_detections_are_a_sentence(detection: Detection, message: str) -> None:
    with pytest.raises(InputError, match=message):
        combine(detection)


def test_a_label_outside_the_table_is_a_sentence() -> None:
    with pytest.raises(InputError, match="the label map of a holds the id 4"):
        combine_predictions(grid("04"), [], STREET, image="a")
