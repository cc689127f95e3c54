"""S22: areas and boxes come from the pixels, and both lists agree."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.data.panoptic.segments import (
    Segment,
    SegmentedImage,
    describe_segments,
    find_faults,
    measure_segments,
)
from seg_assets.errors import InputError
from seg_assets_tests.data.panoptic.tables import CAR, ROAD, SKY, STREET, grid

IDS = grid("0011", "0211", "2220").astype(np.int32)
GOOD = describe_segments(IDS, {1: SKY.id, 2: CAR.id})


def test_segments_are_measured() -> None:
    assert GOOD.segments == (
        Segment(1, SKY.id, 4, (2, 0, 2, 2)),
        Segment(2, CAR.id, 4, (0, 1, 3, 2)),
    )
    assert GOOD.segments[1].to_json() == {
        "id": 2,
        "category_id": CAR.id,
        "area": 4,
        "bbox": [0, 1, 3, 2],
        "iscrowd": 0,
    }
    assert find_faults(GOOD, STREET) == []


@given(
    hnp.arrays(
        np.int32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 3)
    )
)
def test_areas_and_boxes_equal_a_count_of_pixels(ids: np.ndarray) -> None:
    measured = measure_segments(ids)
    assert list(measured) == [i for i in np.unique(ids).tolist() if i]
    for value, (area, (x, y, width, height)) in measured.items():
        rows, columns = np.nonzero(ids == value)
        assert area == len(rows)
        assert (x, y) == (columns.min(), rows.min())
        assert (x + width - 1, y + height - 1) == (columns.max(), rows.max())


def test_semantic_maps_hold_training_ids() -> None:
    expected = grid("..00", ".200", "222.")
    np.testing.assert_array_equal(GOOD.semantic(STREET), expected)
    assert GOOD.semantic(STREET).dtype == np.uint8


def test_a_segment_without_a_category_is_refused() -> None:
    with pytest.raises(InputError, match="the map holds segment 2, which has no category"):
        describe_segments(IDS, {1: SKY.id})


@pytest.mark.parametrize(
    ("segments", "fault"),
    [
        (GOOD.segments[:1], "segment 2 is in the map but not listed"),
        ((*GOOD.segments, Segment(9, CAR.id, 1, (0, 0, 1, 1))), "segment 9 is listed but not in"),
        ((*GOOD.segments, GOOD.segments[1]), "segment 2 is listed 2 times"),
        (
            (GOOD.segments[0], Segment(2, CAR.id, 5, (0, 1, 3, 2))),
            "has 4 pixels but its area says 5",
        ),
        ((GOOD.segments[0], Segment(2, CAR.id, 4, (0, 1, 2, 1))), r"fills the box \(0, 1, 3, 2\)"),
        ((GOOD.segments[0], Segment(2, 99, 4, (0, 1, 3, 2))), "category 99, which is not in"),
        ((GOOD.segments[0], Segment(2, SKY.id, 4, (0, 1, 3, 2))), "both are 'sky', which is stuff"),
    ],
)
def test_each_fault_is_found(segments: tuple[Segment, ...], fault: str) -> None:
    faults = find_faults(SegmentedImage(IDS, segments), STREET)
    assert len(faults) == 1
    assert re.search(fault, faults[0]), faults[0]


def test_crowds_of_stuff_may_lie_apart() -> None:
    image = describe_segments(IDS, {1: ROAD.id, 2: ROAD.id}, crowds={2})
    assert image.segments[1].is_crowd
    assert find_faults(image, STREET) == []
