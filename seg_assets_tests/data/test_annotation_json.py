from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.annotation_json import (
    check_pixels,
    corner_box,
    field,
    image_size,
    read_json,
    records,
)
from seg_assets.data.shards import ImageRef
from seg_assets.errors import ImageError


def test_json_is_read_from_a_file_or_a_range_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'--{"x": 1}--')
    assert read_json(ImageRef("a", str(tmp_path / "a"), 2, 8)) == {"x": 1}
    (tmp_path / "b").write_bytes(b'{"x": 1}')
    assert read_json(ImageRef("b", str(tmp_path / "b"))) == {"x": 1}


@pytest.mark.parametrize("data", [b"", b'{"images": [1, 2', b"\xff\xfe\x00", b"[" * 100_000])
def test_truncated_files_are_refused_by_name(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "sa_1.json"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"sa_1\.json is truncated or is not JSON \("):
        read_json(ImageRef("sa_1", str(path)))


def test_other_json_than_an_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[]")
    with pytest.raises(ImageError, match=r"a\.json holds no JSON object"):
        read_json(ImageRef("a", str(tmp_path / "a.json")))


def test_lists_of_objects_are_asked_for() -> None:
    assert records({"images": [{"id": 1}]}, "images", "f") == [{"id": 1}]
    for content in ({}, {"images": {}}, {"images": [1]}):
        with pytest.raises(ImageError, match="f has no list of objects 'images'"):
            records(content, "images", "f")


def test_fields_have_their_type() -> None:
    assert field({"id": 3}, "id", (int, str), "image 3") == 3
    for record in ({}, {"id": None}, {"id": True}, {"id": [1]}):
        with pytest.raises(ImageError, match="image 3 has id = "):
            field(record, "id", (int, str), "image 3")


def test_sizes_are_positive() -> None:
    assert image_size({"height": 2, "width": 3}, "image 3") == (2, 3)
    with pytest.raises(ImageError, match="image 3 has a size of 0 x 3"):
        image_size({"height": 0, "width": 3}, "image 3")


def test_a_size_that_no_image_may_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of this size would be made, and the system would end the process."""
    with pytest.raises(ImageError, match="1000000 x 1000000 pixels, more than the limit of 178"):
        image_size({"height": 10**6, "width": 10**6}, "image 3")
    monkeypatch.setenv("SEG_MAX_IMAGE_PIXELS", "6")
    assert image_size({"height": 2, "width": 3}, "image 3") == (2, 3)
    with pytest.raises(ImageError, match="image 3 .*raise SEG_MAX_IMAGE_PIXELS"):
        image_size({"height": 7, "width": 1}, "image 3")


def test_boxes_become_corners() -> None:
    assert corner_box({"bbox": [1.5, 2, 3, 4]}, "a") == (1.5, 2, 4.5, 6)
    assert corner_box({}, "a") is None
    assert corner_box({"bbox": [1, 2, 0, 4]}, "a") is None


@pytest.mark.parametrize("box", [[1, 2, 3], "1234", [1, 2, 3, "4"], [1, 2, 3, float("inf")], 5])
def test_other_boxes_are_refused_by_name(box: object) -> None:
    with pytest.raises(ImageError, match=r"^annotation 5 has bbox = .*: write x, y, width, height"):
        corner_box({"bbox": box}, "annotation 5")


def test_pixels_of_another_size_are_refused() -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    check_pixels(pixels, 4, 6, "image 1", "x.json")
    with pytest.raises(ImageError, match=r"^image 1 is 6 x 4 pixels by x\.json, but the file is 4"):
        check_pixels(pixels, 6, 4, "image 1", "x.json")
