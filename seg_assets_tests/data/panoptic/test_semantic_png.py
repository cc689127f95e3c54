"""S23."""

import io

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.panoptic.segments import describe_segments
from seg_assets.data.panoptic.semantic_png import (
    decode_semantic,
    encode_semantic,
    find_semantic_faults,
)
from seg_assets.errors import ImageError
from seg_assets_tests.data.panoptic.tables import CAR, PERSON, SKY, STREET, grid

LABELS = grid("0011", ".233")


def test_pixels_are_training_ids_and_255_and_not_category_ids() -> None:
    data = encode_semantic(LABELS, STREET)
    with Image.open(io.BytesIO(data)) as picture:
        found = np.asarray(picture)
        assert picture.convert("RGB").getpixel((1, 1)) == CAR.color
    np.testing.assert_array_equal(found, LABELS)
    assert found.dtype == np.uint8
    assert np.bincount(found.ravel(), minlength=256)[[0, 1, 2, 3, 255]].tolist() == [2, 2, 1, 2, 1]
    np.testing.assert_array_equal(decode_semantic(data, "a.png"), LABELS)
    assert data == encode_semantic(LABELS, STREET)


def test_other_files_are_refused_with_a_sentence() -> None:
    for data in (b"text", encode_semantic(LABELS, STREET)[:60]):
        with pytest.raises(ImageError, match=r"the semantic map a\.png is no readable 8-bit PNG"):
            decode_semantic(data, "a.png")


def test_a_semantic_map_is_compared_with_the_segments() -> None:
    ids = grid("0113", "0223").astype(np.int32)
    image = describe_segments(ids, {1: SKY.id, 2: CAR.id, 3: PERSON.id})
    label_map = image.semantic(STREET)
    assert find_semantic_faults(label_map, image, STREET) == []
    label_map[0, 0] = 0
    label_map[1, 1] = 3
    assert find_semantic_faults(label_map, image, STREET) == [
        "2 pixels are not of their segment's category"
    ]
    (fault,) = find_semantic_faults(label_map[:1], image, STREET)
    assert "(1, 4)" in fault
