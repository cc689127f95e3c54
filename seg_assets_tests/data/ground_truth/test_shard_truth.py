import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seg_assets.data.ground_truth.coverage import cover
from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.data.ground_truth.shard_truth import truth_of_shard
from seg_assets.data.shards import ImageRef, Shard
from seg_assets.data.sources import find_shards
from seg_assets.errors import ImageError, InputError
from seg_assets_tests.data.conftest import S3Server, encoded, write_files

LABELS = np.array([[26, 7]], np.uint8)
INSTANCES = np.array([[26000, 7]], np.uint16)
FILES = {
    "images/x/a_leftImg8bit.png": b"x",
    "images/x/b_leftImg8bit.png": b"x",
    "gt/x/a_gtFine_labelIds.png": encoded(LABELS),
    "gt/x/a_gtFine_instanceIds.png": encoded(INSTANCES),
}


def registered(root: Path) -> Shard:
    write_files(root, FILES)
    (shard,) = find_shards(root / "images", label_root=root / "gt", label_format="cityscapes_ids")
    return shard


@pytest.mark.parametrize("older", [False, True])
def test_a_shard_reads_the_label_files_that_it_was_registered_with(
    tmp_path: Path, older: bool
) -> None:
    shard = registered(tmp_path)
    assert shard.label_source == str(tmp_path / "gt")
    if older:
        shard = replace(shard, label_source=None)
    write_files(tmp_path, {"gt/x/b_gtFine_labelIds.png": encoded(LABELS)})  # came later
    truth = truth_of_shard(shard)
    assert truth.image_ids() == ("x/a_leftImg8bit",)
    assert truth.label_uri("x/b_leftImg8bit") is None
    with pytest.raises(ImageError, match="no label file of image x/b_leftImg8bit"):
        truth.read("x/b_leftImg8bit")
    found = truth.read("x/a_leftImg8bit")
    assert found.label_map.tolist() == [[13, 0]]
    assert len(found.segment_classes) == 2


def test_a_label_file_that_has_gone_since_is_named(tmp_path: Path) -> None:
    shard = registered(tmp_path)
    shutil.rmtree(tmp_path / "gt")
    with pytest.raises(ImageError, match="a_gtFine_labelIds.png is not there"):
        truth_of_shard(shard).read("x/a_leftImg8bit")


def test_a_shard_of_a_json_reads_the_json(tmp_path: Path) -> None:
    write_files(tmp_path, {"val/a.jpg": b"x", "val/b.jpg": b"x"})
    path = tmp_path / "instances.json"
    image = {"id": 1, "file_name": "a.jpg", "height": 1, "width": 2}
    counts = {"size": [1, 2], "counts": [1, 1]}
    annotation = {"id": 2, "image_id": 1, "category_id": 3, "segmentation": counts}
    content = {
        "images": [image],
        "annotations": [annotation],
        "categories": [{"id": 3, "name": "person"}],
    }
    path.write_text(json.dumps(content))
    (shard,) = find_shards(tmp_path / "val", label_root=path)
    assert [image.label_uri for image in shard.images] == [str(path), None]
    assert truth_of_shard(shard).read("a").label_map.tolist() == [[255, 0]]
    with pytest.raises(InputError, match="does not say where its coco_instances lies"):
        truth_of_shard(replace(shard, label_source=None))


def test_a_shard_without_ground_truth_has_none_to_read() -> None:
    with pytest.raises(InputError, match="the shard x has no ground truth: register it"):
        truth_of_shard(Shard("x", (ImageRef("a", "/a.jpg"),)))


def test_a_shard_on_s3_reads_what_lies_beside_its_label_files(s3_server: S3Server) -> None:
    write_files(s3_server.root / "bucket/shard_truth", FILES)
    options = s3_server.storage_options
    (shard,) = find_shards(
        "s3://bucket/shard_truth/images",
        label_root="s3://bucket/shard_truth/gt",
        storage_options=options,
    )
    assert shard.label_format == "cityscapes_ids"
    assert shard.label_source == "s3://bucket/shard_truth/gt"
    truth = truth_of_shard(shard, storage_options=options)
    assert len(truth.read("x/a_leftImg8bit").segment_classes) == 2


def test_both_sides_are_counted(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(["a.png", "x/b.png", "c.png"], b"x"))
    found = cover(open_ground_truth(tmp_path, "png:base28"), ["a", "d", "b"])
    assert (found.images, found.images_without_truth) == (3, ("b", "d"))
    assert found.truth_without_image == ("c", "x/b")


def test_two_images_of_one_name_cannot_share_their_truth(tmp_path: Path) -> None:
    write_files(tmp_path, {"validation/ADE_val_00000001.png": b"x"})
    truth = open_ground_truth(tmp_path, "ade20k")
    with pytest.raises(InputError, match="p/ADE_val_00000001 and q/ADE_val_00000001 would both"):
        cover(truth, ["q/ADE_val_00000001", "p/ADE_val_00000001"])


def test_foggy_images_share_the_truth_of_the_clear_one(tmp_path: Path) -> None:
    write_files(tmp_path, {"x/a_gtFine_labelTrainIds.png": b"x"})
    truth = open_ground_truth(tmp_path, "cityscapes")
    foggy = [f"x/a_leftImg8bit{fog}" for fog in ("", "_foggy_beta_0.01", "_foggy_beta_0.02")]
    assert cover(truth, foggy).images_without_truth == ()
