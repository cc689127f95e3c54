import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from seg_assets.data.formats.sa1b_masks import Sa1bInstances
from seg_assets.errors import ImageError, InputError
from seg_assets_tests.data.conftest import S3Server, encoded, picture, write_files, write_tar

HEIGHT, WIDTH = 6, 8


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    return mask


SMALL, LARGE, MIDDLE = rectangle(1, 1, 3, 3), rectangle(0, 0, 7, 5), rectangle(2, 0, 5, 4)


def annotation(number: int, mask: np.ndarray, **values: Any) -> dict[str, Any]:
    """As SA-1B writes it: width and height of the box are one less than the pixels' number."""
    coded = coco.encode(np.asfortranarray(mask, np.uint8))
    rows, columns = np.nonzero(mask)
    x, y = int(columns.min()), int(rows.min())
    return {
        "id": number,
        "segmentation": {"size": list(mask.shape), "counts": coded["counts"].decode()},
        "bbox": [float(x), float(y), float(columns.max() - x), float(rows.max() - y)],
        "area": int(mask.sum()),
        "predicted_iou": 0.9,
        **values,
    }


def sa1b_json(*annotations: dict[str, Any], height: int = HEIGHT, width: int = WIDTH) -> bytes:
    image = {"image_id": 1, "height": height, "width": width, "file_name": "sa_1.jpg"}
    return json.dumps({"image": image, "annotations": list(annotations)}).encode()


OBJECTS = (annotation(11, SMALL), annotation(12, LARGE), annotation(13, MIDDLE))
FILES = {
    "sa_2.jpg": encoded(picture(seed=2)),
    "sa_2.json": sa1b_json(*OBJECTS),
    "sa_10.jpg": encoded(picture(seed=10)),
    "sa_10.json": sa1b_json(annotation(21, SMALL)),
}


# D3
@pytest.mark.parametrize("packed", [False, True])
def test_pairs_are_read_from_a_folder_and_in_place_from_a_tar(tmp_path: Path, packed: bool) -> None:
    if packed:
        write_tar(tmp_path / "sa_000001.tar", {f"./{name}": FILES[name] for name in FILES})
    else:
        write_files(tmp_path, FILES)
    first, second = list(Sa1bInstances(str(tmp_path)))
    assert [first.image_id, second.image_id] == ["sa_10", "sa_2"]
    np.testing.assert_array_equal(first.image, picture(seed=10))
    np.testing.assert_array_equal(second.image, picture(seed=2))
    np.testing.assert_array_equal(first.masks, [SMALL])
    np.testing.assert_array_equal(second.masks, [SMALL, LARGE, MIDDLE])
    np.testing.assert_array_equal(second.boxes, [[1, 1, 2, 2], [0, 0, 6, 4], [2, 0, 4, 3]])
    assert second.class_ids.tolist() == [-1, -1, -1]
    assert not second.crowd.any()


def test_one_tar_is_a_source_and_tars_come_before_loose_files(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "z.tar", FILES)
    loose = {name.replace("sa_2", "sa_1"): FILES[name] for name in ("sa_2.jpg", "sa_2.json")}
    write_files(tmp_path, loose)
    assert [i.image_id for i in Sa1bInstances(str(path))] == ["sa_10", "sa_2"]
    assert [i.image_id for i in Sa1bInstances(str(tmp_path))] == ["sa_10", "sa_2", "sa_1"]


def test_masks_inside_a_tar_on_s3_are_read_by_range(s3_server: S3Server, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "sa_000001.tar", FILES)
    write_files(s3_server.root / "bucket", {"masks/sa_000001.tar": path.read_bytes()})
    remote = Sa1bInstances("s3://bucket/masks", storage_options=s3_server.storage_options)
    for image, local in zip(remote, Sa1bInstances(str(path)), strict=True):
        np.testing.assert_array_equal(image.image, local.image)
        np.testing.assert_array_equal(image.masks, local.masks)


def test_the_area_filter_keeps_what_is_as_large_as_asked(tmp_path: Path) -> None:  # F15
    below, at = annotation(1, SMALL, area=9_999), annotation(2, MIDDLE, area=10_000)
    write_files(tmp_path, {**FILES, "sa_2.json": sa1b_json(below, at)})
    image = Sa1bInstances(str(tmp_path), min_area=10_000)[0]
    np.testing.assert_array_equal(image.masks, [MIDDLE])


def test_the_area_of_the_box_counts_where_none_is_recorded(tmp_path: Path) -> None:  # F15
    small = annotation(1, SMALL, area=None, bbox=[0, 0, 99.99, 100])
    large = annotation(2, LARGE, area=None, bbox=[0, 0, 100, 100])
    write_files(tmp_path, {**FILES, "sa_2.json": sa1b_json(small, large)})
    image = Sa1bInstances(str(tmp_path), min_area=10_000)[0]
    np.testing.assert_array_equal(image.masks, [LARGE])


def test_images_without_masks_are_left_out_when_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # F15
    write_files(tmp_path, FILES)
    with caplog.at_level(logging.INFO):
        data = Sa1bInstances(str(tmp_path), min_area=5)
    assert [image.image_id for image in data] == ["sa_2"]
    assert "1 images, 1 without masks are left out" in caplog.text
    with pytest.raises(InputError, match="no image of .* has a mask of 36 pixels or more"):
        Sa1bInstances(str(tmp_path), min_area=36)


def test_the_largest_box_can_come_first(tmp_path: Path) -> None:  # F15
    twin = annotation(14, rectangle(3, 1, 6, 5))  # a box as large as MIDDLE's, later in the file
    write_files(tmp_path, {**FILES, "sa_2.json": sa1b_json(*OBJECTS, twin)})
    data = Sa1bInstances(str(tmp_path), sort_by_box_area=True)
    image = data[1]
    areas = np.prod(image.boxes[:, 2:] - image.boxes[:, :2], axis=1)
    assert areas.tolist() == [24, 6, 6, 1]
    np.testing.assert_array_equal(image.masks[1], MIDDLE)
    first = Sa1bInstances(str(tmp_path), sort_by_box_area=True, max_objects=1)[1]
    np.testing.assert_array_equal(first.masks, [LARGE])


def test_a_mask_of_one_column_has_its_own_box(tmp_path: Path) -> None:
    column = rectangle(4, 1, 5, 4)
    write_files(tmp_path, {**FILES, "sa_2.json": sa1b_json(annotation(1, column))})
    assert Sa1bInstances(str(tmp_path))[1].boxes.tolist() == [[4, 1, 5, 4]]


def test_copies_in_other_processes_read_the_same(tmp_path: Path) -> None:
    data = Sa1bInstances(str(write_tar(tmp_path / "a.tar", FILES)))
    again = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(again[1].masks, data[1].masks)


@pytest.mark.parametrize("packed", [False, True])
def test_masks_without_an_image_are_named(tmp_path: Path, packed: bool) -> None:
    files = {name: data for name, data in FILES.items() if name != "sa_10.jpg"}
    if packed:
        write_tar(tmp_path / "a.tar", files)
    else:
        write_files(tmp_path, files)
    with pytest.raises(InputError, match=r"sa_10.* has no image sa_10\.jpg beside it: put the im"):
        Sa1bInstances(str(tmp_path))


def test_images_without_a_file_of_masks_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_files(tmp_path, {name: FILES[name] for name in FILES if name != "sa_10.json"})
    with caplog.at_level(logging.WARNING):
        assert [i.image_id for i in Sa1bInstances(str(tmp_path))] == ["sa_2"]
    assert "1 images without a file of masks are left out" in caplog.text


def test_an_image_in_two_places_is_refused(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        write_tar(tmp_path / name, FILES)
    with pytest.raises(InputError, match=r"b\.tar and .*a\.tar both hold the image sa_10: remove"):
        Sa1bInstances(str(tmp_path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (FILES["sa_2.json"][:-30], r"sa_2\.json is truncated or is not JSON"),
        (b'{"annotations": []}', r"sa_2\.json has image = None"),
        (sa1b_json(height=0), r"sa_2\.json has a size of 0 x 8"),
        (sa1b_json(OBJECTS[0], height=8, width=6), r"annotation 11 of .*sa_2\.json has a mask of"),
        (
            sa1b_json(annotation(5, SMALL, area=None, bbox=None)),
            r"annotation 5 of .*sa_2\.json has area = None",
        ),
    ],
)
def test_damaged_annotations_are_named_when_opened(
    tmp_path: Path, data: bytes, message: str
) -> None:
    write_files(tmp_path, {**FILES, "sa_2.json": data})
    with pytest.raises(ImageError, match=message):
        Sa1bInstances(str(tmp_path))


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {**FILES, "sa_2.jpg": encoded(picture(8, 6))})
    data = Sa1bInstances(str(tmp_path))
    with pytest.raises(
        ImageError, match=r"sa_2\.jpg is 6 x 8 pixels by .*sa_2\.json, but the file"
    ):
        data[1]


def test_the_real_record_decodes_to_its_own_areas_and_boxes(
    shared_dir: Path, tmp_path: Path
) -> None:  # D3: a real annotation file; its photo is not to be had
    record = (shared_dir / "data/sa1b/sa_226381_partial.json").read_bytes()
    photo = encoded(np.zeros((1500, 2000, 3), np.uint8), "JPEG")
    write_files(tmp_path, {"sa_226381.json": record, "sa_226381.jpg": photo})
    image = Sa1bInstances(str(tmp_path))[0]
    annotations = json.loads(record)["annotations"]
    assert len(image.masks) == len(annotations) == 20
    assert image.masks.sum(axis=(1, 2)).tolist() == [a["area"] for a in annotations]
    coded = [a["segmentation"] for a in annotations]
    assert coco.area(coded).tolist() == [a["area"] for a in annotations]
    edges = coco.toBbox(coded)  # x, y and the number of columns and rows
    edges[:, 2:] += edges[:, :2] - 1
    np.testing.assert_array_equal(image.boxes, edges)
    chosen = Sa1bInstances(str(tmp_path), min_area=10_000, sort_by_box_area=True)[0]
    assert chosen.masks.sum(axis=(1, 2)).tolist() == [34942, 19494, 13446]
