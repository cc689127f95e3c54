"""S26: 1000 x category + instance, or two channels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.data.panoptic.converters.two_channel import (
    panoptic_to_two_channel,
    two_channel_to_panoptic,
)
from seg_assets.data.panoptic.segments import find_faults
from seg_assets.errors import InputError, UnknownClassError
from seg_assets_tests.data.panoptic.tables import CAR, PERSON, ROAD, SKY, STREET

CHANNELS = np.array(
    [
        [[SKY.id, 0], [SKY.id, 5], [0, 0], [0, 9]],
        [[CAR.id, 1], [CAR.id, 2], [PERSON.id, 1], [CAR.id, 1]],
    ],
    np.uint8,
)


def test_pairs_become_segments() -> None:
    image = two_channel_to_panoptic(CHANNELS, STREET, image="a")
    assert find_faults(image, STREET) == []
    assert sorted((s.category_id, s.area) for s in image.segments) == [
        (CAR.id, 1),
        (CAR.id, 2),
        (SKY.id, 2),
        (PERSON.id, 1),
    ]
    assert (image.ids == 0).tolist() == [[False, False, True, True], [False] * 4]


def test_one_number_and_three_channels_are_read_too() -> None:
    expected = two_channel_to_panoptic(CHANNELS, STREET, image="a").ids
    combined = CHANNELS[..., 0].astype(np.int32) * 1000 + CHANNELS[..., 1]
    three = np.dstack([CHANNELS, np.full((2, 4), 77, np.uint8)])
    for channels in (combined, three):
        found = two_channel_to_panoptic(channels, STREET, image="a")
        np.testing.assert_array_equal(found.ids, expected)


@given(
    hnp.arrays(np.int32, (4, 5), elements=st.sampled_from([0, *(c.id for c in STREET.categories)])),
    hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 300)),
)
def test_to_panoptic_and_back(categories: np.ndarray, instances: np.ndarray) -> None:
    channels = np.stack([categories, instances], axis=-1)
    image = two_channel_to_panoptic(channels, STREET, image="a")
    back = panoptic_to_two_channel(image, STREET)
    np.testing.assert_array_equal(back[..., 0], categories)
    again = two_channel_to_panoptic(back, STREET, image="a")
    thing = np.isin(categories, [CAR.id, PERSON.id])
    assert (back[~thing][:, 1] == 0).all()
    # the same pixels belong together, whatever the instances' numbers are
    pairs = set(zip(image.ids.ravel().tolist(), again.ids.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@pytest.mark.parametrize(
    "channels",
    [np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 2)), np.zeros(4, np.uint8)],
    ids=["channels", "floats", "line"],
)
def test_other_arrays_are_refused(channels: np.ndarray) -> None:
    with pytest.raises(InputError, match="the two-channel map of a has shape"):
        two_channel_to_panoptic(channels, STREET, image="a")


def test_an_unknown_category_is_a_sentence() -> None:
    with pytest.raises(UnknownClassError, match="the two-channel map of a holds category 99"):
        two_channel_to_panoptic(np.full((2, 2), 99_001), STREET, image="a")
    assert ROAD.id in STREET
