"""S24."""

import numpy as np
import pytest

from seg_assets.data.panoptic.from_maps import segments_from_maps
from seg_assets.data.panoptic.grounding import refer_to_segments
from seg_assets.data.panoptic.params import GroundingParams
from seg_assets.data.panoptic.segments import SegmentedImage
from seg_assets.data.panoptic.sentences import UserSentences
from seg_assets_tests.data.panoptic.tables import CAR, STREET


def scene() -> SegmentedImage:
    """Sky over a road with a round car, a thin one and a dot of one."""
    y, x = np.mgrid[:120, :160]
    label_map = np.where(y < 40, 0, 1).astype(np.uint8)
    label_map[(x - 40) ** 2 + (y - 80) ** 2 < 25**2] = 2
    label_map[20:110, 120] = 2
    label_map[100, 5] = 2
    return segments_from_maps(label_map, STREET, image="a")


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 5.0])
def test_polygons_fit_their_segments(tolerance: float) -> None:
    image = scene()
    params = GroundingParams(outline_tolerance=tolerance)
    referrals = refer_to_segments(image, STREET, image="a", params=params)
    assert len(referrals) == 4
    for referral in referrals:
        inside = image.ids == referral.segment_id
        assert referral.area == inside.sum()
        assert all(len(polygon) >= 8 for polygon in referral.polygons)
        filled = referral.mask(*image.ids.shape)
        assert (filled & inside).sum() / (filled | inside).sum() >= (1 if tolerance == 0 else 0.95)


def test_sentences_name_the_segments() -> None:
    said = {r.sentences[0] for r in refer_to_segments(scene(), STREET, image="a")}
    assert said == {
        "the sky",
        "the road",
        "the first car from the left",
        "the second car from the left",
    }


def test_small_segments_are_left_out_unless_a_user_means_them() -> None:
    image = scene()
    params = GroundingParams(min_pixels=100)
    areas = [r.area for r in refer_to_segments(image, STREET, image="a", params=params)]
    assert len(areas) == 3
    assert min(areas) > 100
    user = [UserSentences((120, 50), ("the thin one",)), UserSentences((5, 100), ("the dot",))]
    said = {
        r.sentences: r.area
        for r in refer_to_segments(image, STREET, image="a", params=params, user=user)
        if r.category_id == CAR.id and r.area < 100
    }
    assert said == {("the thin one",): 90, ("the dot",): 1}


@pytest.mark.parametrize(("smallest", "said"), [(90, 1), (91, 0)])
def test_a_segment_of_just_enough_pixels_is_spoken_of(smallest: int, said: int) -> None:
    params = GroundingParams(min_pixels=smallest)
    areas = [r.area for r in refer_to_segments(scene(), STREET, image="a", params=params)]
    assert areas.count(90) == said


def test_a_users_sentences_come_first_and_once() -> None:
    user = [UserSentences((0, 0), ("the blue", "the sky"))]
    referrals = refer_to_segments(scene(), STREET, image="a", user=user)
    assert ("the blue", "the sky") in {r.sentences for r in referrals}


def test_an_image_without_labels_has_nothing_to_say() -> None:
    empty = segments_from_maps(np.full((4, 4), 255, np.uint8), STREET, image="a")
    assert refer_to_segments(empty, STREET, image="a") == ()
