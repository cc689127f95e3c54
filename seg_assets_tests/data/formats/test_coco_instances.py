import copy
import json
import logging
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO

from seg_assets.data.formats.coco_instances import CocoInstances
from seg_assets.errors import ImageError, InputError
from seg_assets_tests.data.conftest import S3Server, encoded, picture, write_files

# Image 7 has a polygon and a crowd, image 3 compressed run lengths, image 5 nothing.
CONTENT: dict[str, Any] = {
    "categories": [{"id": 18, "name": "dog"}, {"id": 4, "name": "motorcycle"}],
    "images": [
        {"id": 7, "file_name": "b.png", "height": 6, "width": 8},
        {"id": 5, "file_name": "empty.png", "height": 6, "width": 8},
        {"id": 3, "file_name": "deep/a.png", "height": 6, "width": 8},
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 3,
            "category_id": 4,
            "segmentation": {"size": [6, 8], "counts": "0160000000006"},
            "bbox": [0, 0, 6, 6],
        },
        {
            "id": 2,
            "image_id": 7,
            "category_id": 18,
            "iscrowd": 0,
            "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]],
            "bbox": [1.25, 1, 3.5, 3],
        },
        {
            "id": 3,
            "image_id": 7,
            "category_id": 4,
            "iscrowd": 1,
            "segmentation": {"size": [6, 8], "counts": [0, 12, 36]},
            "bbox": [0, 0, 2, 6],
        },
    ],
}
IMAGES = {name: encoded(picture(seed=n)) for n, name in enumerate(["b.png", "deep/a.png"])}


def dataset(root: Path, content: dict[str, Any] | None = None, **options: Any) -> CocoInstances:
    written = json.dumps(CONTENT if content is None else content).encode()
    write_files(root, {"annotations/instances_val2017.json": written})
    write_files(root / "val2017", IMAGES)
    return CocoInstances(str(root / "annotations/instances_val2017.json"), **options)


def changed(section: str, number: int, **values: Any) -> dict[str, Any]:
    content = copy.deepcopy(CONTENT)
    content[section][number].update(values)
    return content


# D1
def test_polygons_and_both_kinds_of_run_lengths_become_masks(tmp_path: Path) -> None:
    first, second = list(dataset(tmp_path))
    rectangle, columns = np.zeros((2, 6, 8), bool)
    rectangle[1:4, 1:5] = True
    columns[:, :2] = True
    np.testing.assert_array_equal(first.masks, [rectangle, columns])
    np.testing.assert_array_equal(second.masks, [np.eye(6, 8, dtype=bool)])
    np.testing.assert_array_equal(first.image, picture(seed=0))
    np.testing.assert_array_equal(second.image, picture(seed=1))


def test_boxes_become_corners_as_the_file_gives_them(tmp_path: Path) -> None:  # D1
    first, second = list(dataset(tmp_path))
    np.testing.assert_array_equal(first.boxes, np.float32([[1.25, 1, 4.75, 4], [0, 0, 2, 6]]))
    np.testing.assert_array_equal(second.boxes, np.float32([[0, 0, 6, 6]]))


def test_a_box_that_is_missing_or_flat_is_the_masks(tmp_path: Path) -> None:
    content = changed("annotations", 0, bbox=[3, 3, 0, 2])
    del content["annotations"][1]["bbox"]
    first, second = list(dataset(tmp_path, content))
    assert first.boxes[0].tolist() == [1, 1, 5, 4]
    assert second.boxes[0].tolist() == [0, 0, 6, 6]


def test_categories_are_numbered_in_the_order_of_the_file(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    assert data.class_names == ("dog", "motorcycle")
    assert [image.class_ids.tolist() for image in data] == [[0, 1], [1]]


def test_images_without_annotations_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # D1; the file of that image need not be there
    with caplog.at_level(logging.INFO):
        data = dataset(tmp_path)
    assert [image.image_id for image in data] == ["b", "deep/a"]
    assert "2 images with 3 objects, 1 images without any are left out" in caplog.text


def test_crowds_are_marked_or_left_out(tmp_path: Path) -> None:  # D1
    assert dataset(tmp_path)[0].crowd.tolist() == [False, True]
    assert len(dataset(tmp_path, crowd=False)[0].masks) == 1
    only_crowd = copy.deepcopy(CONTENT)
    del only_crowd["annotations"][1]
    assert [i.image_id for i in dataset(tmp_path, only_crowd, crowd=False)] == ["deep/a"]


def test_the_first_objects_can_be_asked_for(tmp_path: Path) -> None:
    data = dataset(tmp_path, max_objects=1)
    assert [image.class_ids.tolist() for image in data] == [[0], [1]]


def test_a_polygon_without_a_pixel_is_left_out_when_read(tmp_path: Path) -> None:
    thin = changed("annotations", 1, segmentation=[[2, 2, 2.1, 2, 2.1, 2.1]])
    assert dataset(tmp_path, thin)[0].crowd.tolist() == [True]


@pytest.mark.parametrize("images", ["val2017", "images/val2017", "../val2017", "../images/val2017"])
def test_the_usual_places_of_images_are_known(tmp_path: Path, images: str) -> None:
    file = tmp_path / "annotations/instances_val2017.json"
    write_files(tmp_path / "annotations", {file.name: json.dumps(CONTENT).encode()})
    write_files((file.parent / images).resolve(), IMAGES)
    assert len(CocoInstances(str(file))) == 2


def test_a_folder_of_images_can_be_named(tmp_path: Path) -> None:
    write_files(tmp_path / "elsewhere", IMAGES)
    write_files(tmp_path, {"x.json": json.dumps(CONTENT).encode()})
    assert len(CocoInstances(str(tmp_path / "x.json"), images=tmp_path / "elsewhere")) == 2
    with pytest.raises(InputError, match=r"images of .*x\.json are in none of .*: name their fold"):
        CocoInstances(str(tmp_path / "x.json"))


def test_copies_in_other_processes_read_the_same(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    again = pickle.loads(pickle.dumps(data))
    for first, second in zip(data, again, strict=True):
        np.testing.assert_array_equal(first.masks, second.masks)


def test_annotations_and_images_on_s3_are_read(s3_server: S3Server, tmp_path: Path) -> None:
    files = {f"val/{name}": data for name, data in IMAGES.items()}
    files["instances_val.json"] = json.dumps(CONTENT).encode()
    write_files(s3_server.root / "bucket/coco", files)
    remote = CocoInstances(
        "s3://bucket/coco/instances_val.json", storage_options=s3_server.storage_options
    )
    for image, local in zip(remote, dataset(tmp_path), strict=True):
        np.testing.assert_array_equal(image.image, local.image)
        np.testing.assert_array_equal(image.masks, local.masks)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "an image that is not listed": (
        changed("annotations", 1, image_id=99),
        r"annotation 2 of .*val2017\.json belongs to image 99, which is not listed: list",
    ),
    "an image id that is no id": (
        changed("annotations", 1, image_id=[7]),
        r"annotation 2 of .*json has image_id = \[7\]",
    ),
    "a category that is not listed": (
        changed("annotations", 1, category_id=1),
        r"annotation 2 of .*json has the category 1, which is not listed: list",
    ),
    "a short polygon": (
        changed("annotations", 1, segmentation=[[1, 1, 2, 2]]),
        r"annotation 2 of .*json has no polygon of 6 numbers or more: give it three corners",
    ),
    "a mask of another size": (
        changed("annotations", 0, segmentation={"size": [8, 6], "counts": "0160000000006"}),
        r"annotation 1 of .*json has a mask of size \[8, 6\], its image is \[6, 8\]",
    ),
    "a box of three numbers": (
        changed("annotations", 1, bbox=[1, 2, 3]),
        r"annotation 2 of .*json has bbox = \[1, 2, 3\]: write x, y, width, height$",
    ),
    "an image that is listed twice": (
        changed("images", 1, id=7),
        r"image 7 of .*json is listed twice",
    ),
    "a file that is listed twice": (
        changed("images", 2, file_name="b.png"),
        r"json lists a file of an image twice: list each once$",
    ),
    "a category that is listed twice": (
        changed("categories", 1, id=18),
        r"json lists a category twice",
    ),
    "an image that is not there": (
        changed("images", 0, file_name="gone.png"),
        r"^gone\.png, an image of .*json, is not in .*val2017: put it there or name another",
    ),
    "a path out of the folder": (
        changed("images", 0, file_name="../b.png"),
        r"\.\./b\.png, an image of .*json, is not in",
    ),
    "an image without size": (changed("images", 0, height=None), "image 7 of .* has height = None"),
    "no annotations": ({**CONTENT, "annotations": []}, r"json annotates no object: give a file"),
    "no list of annotations": (
        {"images": CONTENT["images"], "categories": CONTENT["categories"]},
        r"json has no list of objects 'annotations'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named_before_training(tmp_path: Path, fault: str) -> None:
    content, message = FAULTS[fault]
    with pytest.raises((InputError, ImageError), match=message) as caught:
        dataset(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"x.json": json.dumps(CONTENT).encode()[:-40]})
    with pytest.raises(ImageError, match=r"x\.json is truncated or is not JSON"):
        CocoInstances(str(tmp_path / "x.json"))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.json is not there: give a COCO instances file"):
        CocoInstances(str(tmp_path / "x.json"))


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    write_files(tmp_path, {"val2017/b.png": encoded(picture(8, 6))})
    with pytest.raises(
        ImageError, match=r"b\.png is 6 x 8 pixels by .*json, but the file is 8 x 6"
    ):
        data[0]


def test_damaged_run_lengths_are_named_when_read(tmp_path: Path) -> None:
    cut = changed("annotations", 0, segmentation={"size": [6, 8], "counts": "0160"})
    with pytest.raises(ImageError, match=r"annotation 1 of .*json cannot be read: run lengths do"):
        dataset(tmp_path, cut)[1]


@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_real_annotations_equal_those_of_pycocotools(shared_dir: Path, split: str) -> None:
    path = shared_dir / f"data/coco_instances/instances_{split}.json"
    data = CocoInstances(str(path))
    reference = COCO(str(path))
    assert data.class_names == tuple(c["name"] for c in reference.dataset["categories"])
    compared = 0
    for image in data:
        annotations = reference.loadAnns(reference.getAnnIds(int(image.image_id)))
        with warnings.catch_warnings():  # of pycocotools 2.0.11 under NumPy 2
            warnings.simplefilter("ignore", DeprecationWarning)
            masks = [reference.annToMask(annotation) for annotation in annotations]
        kept = [n for n, mask in enumerate(masks) if mask.any()]
        np.testing.assert_array_equal(image.masks, [masks[n].astype(bool) for n in kept])
        boxes = np.array([annotations[n]["bbox"] for n in kept])
        boxes[:, 2:] += boxes[:, :2]
        np.testing.assert_allclose(image.boxes, boxes, rtol=1e-6)
        areas = [coco.area(reference.annToRLE(annotations[n])) for n in kept]
        assert image.masks.sum(axis=(1, 2)).tolist() == areas
        names = [reference.cats[annotations[n]["category_id"]]["name"] for n in kept]
        assert [data.class_names[c] for c in image.class_ids] == names
        assert image.crowd.tolist() == [bool(annotations[n]["iscrowd"]) for n in kept]
        compared += len(kept)
    assert compared == {"train2017": 359, "val2017": 263}[split]
