import json
from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.ground_truth.detect import detect_format
from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.errors import InputError
from seg_assets_tests.data.conftest import S3Server, encoded, write_files


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["images/a.jpg", "labels/a.png", "val.txt"], "camvid"),
        (["SegmentationClass/a.png", "JPEGImages/a.jpg"], "voc"),
        (["VOC2012/SegmentationClass/a.png"], "voc"),
        (["val/x/a_gtFine_labelTrainIds.png", "val/x/a_gtFine_labelIds.png"], "cityscapes"),
        (["x/a_labelTrainIds.png", "x/a_labelIds.png", "x/a_instanceIds.png"], "cityscapes_ids"),
        (["x/a_gtFine_labelIds.png", "x/a_gtFine_color.png"], "cityscapes_ids"),
        (["trainIds/a.png", "labelIds/a.png"], "cityscapes"),
        (["labelIds/a.png", "instanceIds/a.png", "trainIds/a.png"], "cityscapes_ids"),
        (["validation/ADE_val_00000001.png"], "ade20k"),
    ],
)
def test_folders_are_known_by_what_is_in_them(
    tmp_path: Path, names: list[str], expected: str
) -> None:
    write_files(tmp_path, dict.fromkeys(names, b"x"))
    assert detect_format(tmp_path) == expected


def test_a_bucket_is_looked_at_like_a_folder(s3_server: S3Server) -> None:
    classes = encoded(np.array([[0, 15, 255]], np.uint8))
    files = {
        "devkit/VOC2012/SegmentationClass/a.png": classes,
        "devkit/VOC2012/SegmentationObject/a.png": encoded(np.array([[0, 1, 0]], np.uint8)),
        "coco/panoptic_val.json": json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg", "height": 1, "width": 1}],
                "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": []}],
                "categories": [{"id": 1, "name": "person", "isthing": 1}],
            }
        ).encode(),
        "coco/panoptic_val/a.png": encoded(np.zeros((1, 1, 3), np.uint8)),
    }
    write_files(s3_server.root / "bucket/detect", files)
    options = s3_server.storage_options
    voc = open_ground_truth("s3://bucket/detect/devkit", storage_options=options)
    assert voc.label_format == "voc"
    assert voc.read("a").segment_classes == {1: 0, 2: 15}
    path = "s3://bucket/detect/coco/panoptic_val.json"
    coco = open_ground_truth(path, storage_options=options)
    assert (coco.label_format, coco.source) == ("coco_panoptic", path)
    assert coco.label_uri("a") == "s3://bucket/detect/coco/panoptic_val/a.png"
    assert coco.read("a").label_map.tolist() == [[255]]


def test_json_files_are_known_by_their_annotations(tmp_path: Path) -> None:
    for name, annotation in (
        ("panoptic", {"segments_info": []}),
        ("instances", {"segmentation": []}),
    ):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"annotations": [annotation]}))
        assert detect_format(path) == f"coco_{name}"


@pytest.mark.parametrize(
    "names", [["a.png", "b.png"], ["ADE_val_00000001.png", "b.png"], ["labels.json"], ["a.zip"]]
)
def test_what_is_not_recognised_says_what_was_looked_for(tmp_path: Path, names: list[str]) -> None:
    write_files(tmp_path, dict.fromkeys(names, b"{}"))
    source = tmp_path if names[0].endswith("png") else tmp_path / names[0]
    with pytest.raises(InputError, match=r"not recognised \(looked for .*_labelIds.*\): name it"):
        open_ground_truth(source)


def test_a_source_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone is not there"):
        open_ground_truth(tmp_path / "gone")


def test_the_samples_are_recognised(shared_dir: Path) -> None:
    expected = {
        "camvid": "camvid",
        "camvid/val.txt": "camvid",
        "voc": "voc",
        "ade20k/labels150": "ade20k",
        "cityscapes": "cityscapes_ids",
        "cityscapes/trainIds": "cityscapes",
        "coco_panoptic/panoptic.json": "coco_panoptic",
        "coco_instances/instances_val2017.json": "coco_instances",
    }
    found = {name: open_ground_truth(shared_dir / "data" / name).label_format for name in expected}
    assert found == expected
