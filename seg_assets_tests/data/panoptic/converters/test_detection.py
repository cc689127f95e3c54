"""S26: instance masks <-> panoptic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.data.panoptic.converters.detection import (
    Detection,
    detection_to_panoptic,
    detections_from_coco,
    panoptic_to_detection,
)
from seg_assets.data.panoptic.from_maps import segments_from_maps
from seg_assets.data.panoptic.segments import find_faults
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets_tests.data.panoptic.tables import CAR, PERSON, ROAD, SKY, STREET, grid

SIZE = (2, 4)


def mask(*rows: str) -> np.ndarray:
    return grid(*rows) == 1


LEFT, RIGHT = mask("1100", "1000"), mask("0001", "0011")


def test_masks_become_segments_and_the_rest_stays_unlabelled() -> None:
    detections = [
        Detection(LEFT, CAR.id),
        Detection(RIGHT, CAR.id, is_crowd=True),
        Detection(np.zeros(SIZE, bool), PERSON.id),
    ]
    image = detection_to_panoptic(detections, STREET, SIZE, image="a")
    assert find_faults(image, STREET) == []
    assert sorted((s.category_id, s.area, s.is_crowd) for s in image.segments) == [
        (CAR.id, 3, False),
        (CAR.id, 3, True),
    ]
    np.testing.assert_array_equal(image.ids == 0, ~(LEFT | RIGHT))


def test_masks_of_one_stuff_category_are_one_segment_even_where_they_overlap() -> None:
    detections = [Detection(LEFT, SKY.id), Detection(LEFT | RIGHT, SKY.id)]
    (segment,) = detection_to_panoptic(detections, STREET, SIZE, image="a").segments
    assert segment.area == 6


def test_overlap_is_an_error_that_counts_the_pixels() -> None:
    detections = [Detection(LEFT, CAR.id), Detection(mask("1000", "1100"), PERSON.id)]
    with pytest.raises(InputError, match="in a 2 pixels are both 'person' and 'car'"):
        detection_to_panoptic(detections, STREET, SIZE, image="a")


def test_other_faults_are_a_sentence() -> None:
    with pytest.raises(InputError, match=r"a mask of a has shape \(2, 4\) in an image of \(4, 2\)"):
        detection_to_panoptic([Detection(LEFT, CAR.id)], STREET, (4, 2), image="a")
    with pytest.raises(UnknownClassError, match="category id 2 is not in"):
        detection_to_panoptic([Detection(LEFT, 2)], STREET, SIZE, image="a")


@given(
    hnp.arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 3, 255])),
    hnp.arrays(np.int32, (5, 6), elements=st.integers(0, 2)),
)
def test_to_detection_and_back(label_map: np.ndarray, instances: np.ndarray) -> None:
    image = segments_from_maps(label_map, STREET, image="a", instance_map=instances)
    annotations = panoptic_to_detection(image, STREET, image_id=7, things_only=False)
    again = detection_to_panoptic(
        detections_from_coco(annotations, 5, 6, "a"), STREET, (5, 6), image="a"
    )

    def summary(found):
        return sorted((s.category_id, s.area, s.bbox, s.is_crowd) for s in found.segments)

    assert summary(again) == summary(image)
    np.testing.assert_array_equal(again.semantic(STREET), label_map)


def test_things_only_is_the_default() -> None:
    label_map = grid("0022", "1122")
    image = segments_from_maps(label_map, STREET, image="a", instance_map=np.ones((2, 4), np.uint8))
    (annotation,) = panoptic_to_detection(image, STREET, image_id=7, first_id=30)
    assert annotation["segmentation"]["size"] == [2, 4]
    del annotation["segmentation"]
    assert annotation == {
        "id": 30,
        "image_id": 7,
        "category_id": CAR.id,
        "area": 4,
        "bbox": [2, 0, 2, 2],
        "iscrowd": 0,
    }
    everything = panoptic_to_detection(image, STREET, image_id=7, things_only=False)
    assert {a["category_id"] for a in everything} == {SKY.id, ROAD.id, CAR.id}
    assert [a["id"] for a in everything] == [1, 2, 3]


def test_cocos_annotations_are_read() -> None:
    polygon = {"category_id": 1, "segmentation": [[2, 0, 4, 0, 4, 2, 2, 2]], "score": 0.25}
    runs = {"category_id": 20, "segmentation": {"size": [2, 4], "counts": [0, 3, 5]}, "iscrowd": 1}
    first, second = detections_from_coco([polygon, runs], 2, 4, "a")
    np.testing.assert_array_equal(first.mask, mask("0011", "0011"))
    np.testing.assert_array_equal(second.mask, mask("1100", "1000"))
    assert (first.score, first.is_crowd, second.score, second.is_crowd) == (0.25, False, 1.0, True)


def test_faulty_annotations_are_a_sentence() -> None:
    with pytest.raises(InputError, match="annotation 3 of a has no category_id"):
        detections_from_coco([{"id": 3, "segmentation": []}], 2, 4, "a")
    with pytest.raises(ImageError, match="annotation 0 of a"):
        detections_from_coco([{"category_id": 1}], 2, 4, "a")
