import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.data.panoptic.from_maps import segments_from_maps
from seg_assets.data.panoptic.params import PanopticParams
from seg_assets.data.panoptic.segments import SegmentedImage, find_faults
from seg_assets.errors import InputError
from seg_assets_tests.data.panoptic.tables import CAR, SKY, STREET, grid

LABELS = grid("0000.", "22122", "22122")
EVERY_PART = PanopticParams(min_instance_pixels=1)


def kinds(image: SegmentedImage) -> list[tuple[str, int, bool]]:
    """Name, area and crowd of each segment, by box from left to right."""
    ordered = sorted(image.segments, key=lambda segment: segment.bbox)
    return [(STREET.by_id(s.category_id).name, s.area, s.is_crowd) for s in ordered]


def test_stuff_is_one_segment_and_instances_follow_the_instance_map() -> None:
    instances = grid("99999", "11044", "11114").astype(np.int32)
    image = segments_from_maps(LABELS, STREET, image="a", instance_map=instances)
    assert sorted(kinds(image)) == [
        ("car", 3, False),
        ("car", 5, False),  # on both sides of the road
        ("road", 2, False),
        ("sky", 4, False),
    ]
    assert find_faults(image, STREET) == []


def test_things_without_a_number_are_one_crowd() -> None:
    instances = grid("00000", "11000", "11000").astype(np.uint16)
    image = segments_from_maps(LABELS, STREET, image="a", instance_map=instances)
    assert sorted(kinds(image)) == [
        ("car", 4, False),
        ("car", 4, True),
        ("road", 2, False),
        ("sky", 4, False),
    ]


def test_without_an_instance_map_connected_parts_are_instances() -> None:
    image = segments_from_maps(LABELS, STREET, image="a", params=EVERY_PART)
    assert [k for k in kinds(image) if k[0] == "car"] == [("car", 4, False), ("car", 4, False)]
    corner = segments_from_maps(grid("2.", ".2"), STREET, image="a", params=EVERY_PART)
    assert kinds(corner) == [("car", 2, False)]


def test_small_parts_become_one_crowd() -> None:
    label_map = grid("22.2.2", "22....")
    params = PanopticParams(min_instance_pixels=2)
    image = segments_from_maps(label_map, STREET, image="a", params=params)
    assert kinds(image) == [("car", 4, False), ("car", 2, True)]


def test_things_may_stay_whole() -> None:
    params = PanopticParams(without_instances="whole")
    image = segments_from_maps(LABELS, STREET, image="a", params=params)
    assert sorted(kinds(image)) == [("car", 8, False), ("road", 2, False), ("sky", 4, False)]


def test_an_image_without_labels_has_no_segments() -> None:
    image = segments_from_maps(np.full((2, 3), 255, np.uint8), STREET, image="a")
    assert image.segments == ()
    assert not image.ids.any()


def test_ids_are_the_same_every_time_and_differ_between_images() -> None:
    again = [segments_from_maps(LABELS, STREET, image="a", params=EVERY_PART) for _ in range(2)]
    np.testing.assert_array_equal(again[0].ids, again[1].ids)
    other = segments_from_maps(LABELS, STREET, image="b", params=EVERY_PART)
    assert (other.ids != again[0].ids).any()
    np.testing.assert_array_equal(other.semantic(STREET), again[0].semantic(STREET))


@given(
    hnp.arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 3, 255])),
    hnp.arrays(np.int32, (5, 6), elements=st.integers(0, 3)),
    st.booleans(),
)
def test_any_maps_give_segments_without_faults_and_the_same_labels(
    label_map: np.ndarray, instances: np.ndarray, given_instances: bool
) -> None:
    image = segments_from_maps(
        label_map,
        STREET,
        image="a",
        instance_map=instances if given_instances else None,
        params=PanopticParams(min_instance_pixels=3),
    )
    assert find_faults(image, STREET) == []
    np.testing.assert_array_equal(image.semantic(STREET), label_map)


@pytest.mark.parametrize(
    ("label_map", "instance_map", "message"),
    [
        (grid("04"), None, "a.jpg holds the id 4, but the table has the categories 0..3"),
        (LABELS.astype(np.int32), None, r"type int32; it must be \(height, width\) bytes"),
        (np.zeros((0, 4), np.uint8), None, "at least one pixel"),
        (LABELS, np.zeros((2, 5), np.int32), r"shape \(2, 5\)"),
        (LABELS, np.zeros((3, 5)), "give integers at the same size"),
        (LABELS, np.full((3, 5), -1), "holds -1; instances count from 1"),
    ],
)
def test_faulty_maps_are_a_sentence(label_map, instance_map, message: str) -> None:
    with pytest.raises(InputError, match=message):
        segments_from_maps(label_map, STREET, image="a.jpg", instance_map=instance_map)


def test_the_first_segment_of_a_category_has_its_colour() -> None:
    image = segments_from_maps(LABELS, STREET, image="a", params=EVERY_PART)
    colors = {segment.id for segment in image.segments}
    for item in (SKY, CAR):
        red, green, blue = item.color
        assert red + 256 * green + 65536 * blue in colors
