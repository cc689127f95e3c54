import json
from pathlib import Path

import pytest

from seg_assets.data.ground_truth.detect import detect_format
from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.errors import InputError
from seg_assets_tests.data.conftest import write_files


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
