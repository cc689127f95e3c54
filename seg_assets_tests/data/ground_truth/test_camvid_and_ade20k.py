import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.errors import UnknownClassError
from seg_assets_tests.data.conftest import encoded, write_files


def test_camvid_pairs_images_and_labels_by_its_lists(tmp_path: Path) -> None:
    labels = encoded(np.array([[0, 10, 11]], np.uint8))
    files = {
        "val.txt": b"images/val/a.jpg labels/val/a_L.png\n",
        "images/val/a.jpg": b"x",
        "labels/val/a_L.png": labels,
    }
    truth = open_ground_truth(write_files(tmp_path, files), "camvid")
    assert truth.image_ids() == ("val/a",)
    assert truth.label_uri("a") == str(tmp_path / "labels/val/a_L.png")
    assert truth.read("val/a").label_map.tolist() == [[0, 10, 255]]


def test_a_folder_of_camvids_labels_needs_no_list(tmp_path: Path) -> None:
    write_files(tmp_path, {"val/a.png": encoded(np.array([[12, 11]], np.uint8))})
    truth = open_ground_truth(tmp_path, "camvid")
    assert truth.find("a") == "val/a"
    with pytest.raises(UnknownClassError, match="a.png holds class id 12, outside"):
        truth.read("a")


def test_camvid_has_the_pixels_that_its_data_sheet_counts(shared_dir: Path) -> None:
    stats = json.loads((shared_dir / "data/camvid/stats.json").read_text())["val"]
    truth = open_ground_truth(shared_dir / "data/camvid/val.txt", "camvid")
    assert len(truth.image_ids()) == stats["n"] == 101
    pixels = np.zeros(256, np.int64)
    for image_id in truth.image_ids():
        pixels += np.bincount(truth.read(image_id).label_map.ravel(), minlength=256)
    found = {item.name: int(pixels[item.id]) for item in truth.table.classes}
    assert found | {"Unlabelled": int(pixels[255])} == stats["pixels"]


def test_ade20k_counts_from_one(tmp_path: Path) -> None:
    name = "validation/ADE_val_00000001"
    write_files(tmp_path, {f"{name}.png": encoded(np.array([[0, 1, 150]], np.uint8))})
    truth = open_ground_truth(tmp_path, "ade20k")
    assert truth.find("ADE_val_00000001") == name
    assert truth.read(name).label_map.tolist() == [[255, 0, 149]]


def test_ade20ks_samples_name_what_their_list_names(shared_dir: Path) -> None:
    folder = shared_dir / "data/ade20k"
    truth = open_ground_truth(folder / "labels150", "ade20k")
    lines = (folder / "objectInfo150.txt").read_text().splitlines()[1:]
    names = {int(line.split("\t")[0]): line.split("\t")[-1] for line in lines}
    for image_id in truth.image_ids():
        stored = np.asarray(Image.open(folder / f"labels150/{image_id}.png"))
        label_map = truth.read(image_id).label_map
        for value in np.unique(stored).tolist():
            (class_id,) = np.unique(label_map[stored == value]).tolist()
            name = truth.table.name_of(class_id)
            assert name == "ignore" if value == 0 else name in names[value]


def test_of_two_label_files_of_one_name_only_the_whole_path_tells(tmp_path: Path) -> None:
    write_files(tmp_path, {f"{folder}/ADE_val_00000001.png": b"x" for folder in ("a", "b")})
    truth = open_ground_truth(tmp_path, "ade20k")
    assert truth.find("b/ADE_val_00000001") == "b/ADE_val_00000001"
    assert truth.find("ADE_val_00000001") is None
