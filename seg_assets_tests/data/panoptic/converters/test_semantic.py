"""S26: panoptic -> semantic, as PNG of category ids and as JSON."""

import numpy as np
import pytest

from seg_assets.data.coco_masks import parse_mask
from seg_assets.data.panoptic.categories import Category, CategoryTable
from seg_assets.data.panoptic.converters.semantic import (
    panoptic_to_category_map,
    panoptic_to_semantic_json,
)
from seg_assets.data.panoptic.from_maps import segments_from_maps
from seg_assets.errors import InputError
from seg_assets_tests.data.panoptic.tables import CAR, PERSON, ROAD, SKY, STREET, grid

IMAGE = segments_from_maps(
    grid("00.3", "1122"), STREET, image="a", instance_map=np.ones((2, 4), np.uint8)
)


def test_category_maps_hold_category_ids_and_0() -> None:
    found = panoptic_to_category_map(IMAGE, STREET)
    expected = [[SKY.id, SKY.id, 0, PERSON.id], [ROAD.id, ROAD.id, CAR.id, CAR.id]]
    assert found.tolist() == expected
    assert found.dtype == np.uint8


def test_things_may_share_an_id() -> None:
    found = panoptic_to_category_map(IMAGE, STREET, things_as=183)
    assert found.tolist() == [[SKY.id, SKY.id, 0, 183], [ROAD.id, ROAD.id, 183, 183]]


@pytest.mark.parametrize("things_as", [None, 183])
def test_json_has_one_mask_per_category(things_as: int | None) -> None:
    category_map = panoptic_to_category_map(IMAGE, STREET, things_as=things_as)
    found = panoptic_to_semantic_json(IMAGE, STREET, image_id=7, things_as=things_as)
    assert [a["category_id"] for a in found] == sorted(set(category_map.ravel().tolist()) - {0})
    painted = np.zeros_like(category_map)
    for annotation in found:
        mask = parse_mask(annotation["segmentation"], 2, 4, "it").decode("it")
        painted[mask] = annotation["category_id"]
        assert (annotation["area"], annotation["image_id"]) == (mask.sum(), 7)
    np.testing.assert_array_equal(painted, category_map)
    assert next(a["bbox"] for a in found if a["category_id"] == ROAD.id) == [0, 1, 2, 1]


def test_ids_above_a_byte_are_refused() -> None:
    table = CategoryTable((Category(300, "far", (1, 2, 3), is_thing=False),))
    image = segments_from_maps(grid("0"), table, image="a")
    with pytest.raises(InputError, match="category 300 does not fit into an 8-bit PNG"):
        panoptic_to_category_map(image, table)
