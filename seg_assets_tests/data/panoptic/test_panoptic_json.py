"""S22: the fields of COCO's format."""

import json
from pathlib import Path

import pytest

from seg_assets.data.panoptic.panoptic_json import parse_panoptic_json
from seg_assets.data.panoptic.panoptic_png import decode_panoptic, encode_panoptic
from seg_assets.data.panoptic.segments import Segment, SegmentedImage, find_faults
from seg_assets.errors import InputError
from seg_assets_tests.data.panoptic.tables import STREET

FILE = {
    "info": {"year": 2018},
    "images": [
        {"id": 4, "file_name": "a.jpg", "height": 3, "width": 4, "license": 2},
        {"id": 2, "file_name": "b.jpg", "height": 3, "width": 4},
    ],
    "annotations": [
        {
            "image_id": 4,
            "file_name": "a.png",
            "segments_info": [
                {"id": 9, "category_id": 1, "area": 4, "bbox": [2, 0, 2, 2], "iscrowd": 1}
            ],
        }
    ],
    "categories": STREET.to_json(),
}


def changed(**changes) -> bytes:
    return json.dumps(FILE | changes).encode()


def test_a_file_is_read_and_written_without_loss() -> None:
    found = parse_panoptic_json(changed(), "p.json")
    assert found.categories == STREET
    first, second = found.images
    assert (first.id, first.file_name, first.map_name) == (4, "a.jpg", "a.png")
    assert first.segments == (Segment(9, 1, 4, (2, 0, 2, 2), is_crowd=True),)
    assert (second.map_name, second.segments) == ("", ())
    assert json.loads(found.encode()) == FILE


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "p.json is no panoptic JSON: Invalid JSON"),
        (b"[]", "p.json is no panoptic JSON"),
        (changed(images=[{"id": 1}]), "images.0.file_name: Field required"),
        (changed(images=FILE["images"] * 2), "lists image 4 twice"),
        (changed(annotations=FILE["annotations"] * 2), "annotates image 4 twice"),
        (changed(images=FILE["images"][1:]), "annotates image 4, which it does not list"),
        (changed(categories=[]), "has 0 categories"),
        (
            changed(
                annotations=[
                    {"image_id": 4, "file_name": "a.png", "segments_info": [{"id": 1 << 24}]}
                ]
            ),
            "annotations.0.segments_info.0.id: Input should be less than 16777216",
        ),
    ],
)
def test_a_faulty_file_is_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_panoptic_json(data, "p.json")


def test_cocos_own_sample_is_read_and_written_equal(shared_dir: Path) -> None:
    """Its JSON as parsed, its PNG as pixels; pixel counts equal the recorded areas."""
    folder = shared_dir / "data/coco_panoptic"
    data = (folder / "panoptic.json").read_bytes()
    found = parse_panoptic_json(data, "panoptic.json")
    assert json.loads(found.encode()) == json.loads(data)
    for image in found.images:
        ids = decode_panoptic((folder / "panoptic" / image.map_name).read_bytes(), image.map_name)
        again = decode_panoptic(encode_panoptic(ids), image.map_name)
        assert (again == ids).all()
        assert find_faults(SegmentedImage(ids, image.segments), found.categories) == []
