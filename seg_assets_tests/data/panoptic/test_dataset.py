"""S20-S25 together: pictures with ground truth become a data set that training reads."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.dataset import build_dataset
from seg_assets.data.panoptic.params import GroundingParams
from seg_assets.data.panoptic.reader import open_panoptic
from seg_assets.data.panoptic.segments import find_faults
from seg_assets.data.panoptic.semantic_png import decode_semantic, find_semantic_faults
from seg_assets.data.panoptic.sentences import UserSentences
from seg_assets.data.shards import Shard
from seg_assets.data.sources import find_shards
from seg_assets.errors import InputError
from seg_assets_tests.data.panoptic.street import (
    SIZE,
    files,
    label_map,
    street_shards,
    write_street,
)


@pytest.fixture
def shards(tmp_path: Path) -> list[Shard]:
    write_street(tmp_path / "street", 3)
    return street_shards(tmp_path / "street", shard_size=2)


def check(root: Path, split: str, table: CategoryTable) -> int:
    """What must be true of every data set; gives the number of images."""
    found = open_panoptic(str(root), split)
    assert found.categories == table
    for sample in found:
        assert find_faults(sample.segmented, table) == []
        assert sample.image.shape[:2] == sample.segmented.ids.shape
        path = root / split / "semantic" / f"{sample.stem}.png"
        semantic = decode_semantic(path.read_bytes(), path.name)
        assert find_semantic_faults(semantic, sample.segmented, table) == []
        for referral in sample.referrals:
            inside = sample.segmented.ids == referral.segment_id
            filled = referral.mask(*inside.shape)
            assert (filled & inside).sum() / (filled | inside).sum() >= 0.9
    return len(found)


def test_a_folder_becomes_a_data_set(tmp_path: Path, shards: list[Shard]) -> None:
    assert [len(shard.images) for shard in shards] == [1, 2]
    summary = build_dataset(tmp_path / "data", "train", shards)
    table = CategoryTable.from_class_table(load_class_table("cityscapes19"))
    assert check(tmp_path / "data", "train", table) == 3
    assert (summary.images, summary.failed) == (3, {})
    assert summary.segments_per_category["car"] == 6
    unlabelled = sum((label_map(n) == 255).sum() for n in range(3)) / (3 * SIZE[0] * SIZE[1])
    assert summary.unlabelled_share == pytest.approx(unlabelled, abs=1e-6)
    data = open_panoptic(str(tmp_path / "data"), "train")
    for number in range(3):
        assert data.stem(number) == f"city_street_{number}"
        semantic = data.segmented(number).semantic(table)
        np.testing.assert_array_equal(semantic, label_map(number))


def test_a_second_build_gives_the_same_bytes(tmp_path: Path, shards: list[Shard]) -> None:
    first = build_dataset(tmp_path / "a", "train", shards)
    assert build_dataset(tmp_path / "b", "train", shards) == first
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_instance_maps_categories_and_sentences_of_a_user(
    tmp_path: Path, shards: list[Shard]
) -> None:
    classes = load_class_table("cityscapes19")
    table = CategoryTable.from_class_table(classes, things=["person"])
    build_dataset(
        tmp_path / "data",
        "train",
        shards,
        categories=table,
        instances=str(tmp_path / "street/instances"),
        sentences={"city/street_1": [UserSentences((31, 25), ("the one who waits",))]},
        grounding=GroundingParams(positions=False),
    )
    assert check(tmp_path / "data", "train", table) == 3
    said = {
        sample.stem: [text for r in sample.referrals for text in r.sentences]
        for sample in open_panoptic(str(tmp_path / "data"), "train")
    }
    assert sorted(said["city_street_0"]) == ["the car", "the person", "the road", "the sky"]
    assert "the one who waits" in said["city_street_1"]


def test_bad_images_are_left_out_and_named(
    tmp_path: Path, shards: list[Shard], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "street"
    (folder / "images/city/street_0.png").write_text("no picture")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(folder / "labels/city/street_1.png")
    with caplog.at_level(logging.WARNING):
        summary = build_dataset(tmp_path / "data", "train", shards)
    assert summary.images == 1
    assert sorted(summary.failed) == ["city/street_0", "city/street_1"]
    assert "city/street_0 is left out" in caplog.text
    stored = json.loads((tmp_path / "data/train/dataset.json").read_text())
    assert stored["failed"] == summary.failed
    assert len(open_panoptic(str(tmp_path / "data"), "train")) == 1


def test_a_user_s_mistake_ends_the_build_and_leaves_nothing(
    tmp_path: Path, shards: list[Shard]
) -> None:
    root = tmp_path / "data"
    nowhere = [UserSentences((0, 47), ("what is this",))]
    with pytest.raises(InputError, match=r"of city/street_1 is for the pixel \(0, 47\), which has"):
        build_dataset(root, "train", shards, sentences={"city/street_1": nowhere})
    with pytest.raises(InputError, match="there are sentences for street_1, which is no image"):
        build_dataset(root, "train", shards, sentences={"street_1": nowhere})
    with pytest.raises(InputError, match="the split train has no shards"):
        build_dataset(root, "train", [])
    other = Shard("other", shards[0].images, "camvid")
    with pytest.raises(InputError, match="of the class tables camvid11 and cityscapes19; give a"):
        build_dataset(root, "train", [*shards, other])
    with pytest.raises(InputError, match="the shards have no ground truth to train on"):
        build_dataset(root, "train", [Shard("bare", shards[0].images)])
    assert not root.exists() or list(root.iterdir()) == []


def test_camvid_becomes_a_data_set(tmp_path: Path, shared_dir: Path) -> None:
    """Real label maps without instances: three images."""
    found = find_shards(shared_dir / "data/camvid/val.txt", limit=3)
    table = CategoryTable.from_class_table(
        load_class_table("camvid11"), things=["Car", "Pedestrian", "Bicyclist"]
    )
    summary = build_dataset(tmp_path, "validation", found, categories=table)
    assert check(tmp_path, "validation", table) == summary.images == 3
    assert summary.segments_per_category["Road"] == 3
    assert summary.segments_per_category["Car"] > 3
    assert 0 < summary.unlabelled_share < 0.05
