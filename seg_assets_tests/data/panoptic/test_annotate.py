from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.data.panoptic.annotate import GroundTruth, file_stems
from seg_assets.data.panoptic.categories import Category, CategoryTable
from seg_assets.data.shards import ImageRef, Shard
from seg_assets.data.sources import find_shards
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets_tests.data.conftest import encoded, write_files
from seg_assets_tests.data.panoptic.street import SIZE, label_map, street_shards, write_street

TABLE = CategoryTable.from_class_table(load_class_table("cityscapes19"))


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    write_street(tmp_path, 1)
    return street_shards(tmp_path)[0]


def names(truth: GroundTruth, shard: Shard) -> list[tuple[str, bool]]:
    image = truth.read(shard.images[0], SIZE)
    return sorted((truth.table.by_id(s.category_id).name, s.is_crowd) for s in image.segments)


def test_ground_truth_becomes_segments(shard: Shard) -> None:
    truth = GroundTruth.of_shard(shard, TABLE)
    assert names(truth, shard) == [
        ("car", False),
        ("car", False),
        ("person", False),
        ("road", False),
        ("sky", False),
    ]
    found = truth.read(shard.images[0], SIZE).semantic(TABLE)
    np.testing.assert_array_equal(found, label_map(0))


def test_instance_maps_say_what_belongs_together(shard: Shard, tmp_path: Path) -> None:
    truth = GroundTruth.of_shard(shard, TABLE, instances=str(tmp_path / "instances"))
    assert names(truth, shard)[:3] == [("car", False), ("car", True), ("person", False)]
    (tmp_path / "instances/city/street_0.png").unlink()
    with pytest.raises(ImageError, match=r"instances/city/street_0\.png is not there"):
        truth.read(shard.images[0], SIZE)


def test_labels_that_tell_objects_apart_say_what_belongs_together(tmp_path: Path) -> None:
    """Two cars that touch, a group of cars, and a road, in the files of Cityscapes."""
    labels = np.array([[26, 26, 26, 7]], np.uint8)
    instances = np.array([[26000, 26001, 26, 7]], np.uint16)
    files = {"images/a.png": np.zeros((1, 4, 3), np.uint8)}
    files |= {"gt/labelIds/a.png": labels, "gt/instanceIds/a.png": instances}
    write_files(tmp_path, {name: encoded(pixels) for name, pixels in files.items()})
    (shard,) = find_shards(tmp_path / "images", label_root=tmp_path / "gt")
    found = GroundTruth.of_shard(shard, TABLE).read(shard.images[0], (1, 4))
    told = {s.id: s for s in found.segments}
    cars = [told[int(found.ids[0, x])] for x in range(3)]
    assert [(s.category_id, s.is_crowd, s.area) for s in cars] == [
        (14, False, 1),
        (14, False, 1),
        (14, True, 1),
    ]
    assert len(told) == 4


def test_categories_are_matched_by_name_and_the_rest_is_no_label(shard: Shard) -> None:
    table = CategoryTable(
        (
            Category(9, "car", (1, 1, 1), is_thing=False),
            Category(4, "boat", (2, 2, 2), is_thing=True),
            Category(5, "sky", (3, 3, 3), is_thing=False),
        )
    )
    truth = GroundTruth.of_shard(shard, table)
    found = truth.read(shard.images[0], SIZE).semantic(table)
    expected = np.where(label_map(0) == 13, 0, np.where(label_map(0) == 10, 2, 255))
    np.testing.assert_array_equal(found, expected)
    boats = CategoryTable(table.categories[1:2])
    with pytest.raises(InputError, match="no class of 'cityscapes19', the table of shard street"):
        GroundTruth.of_shard(shard, boats)


def test_a_shard_without_ground_truth_is_a_sentence(shard: Shard) -> None:
    bare = Shard("bare", tuple(ImageRef(i.image_id, i.uri) for i in shard.images), "camvid")
    for found in (bare, Shard("bare", shard.images)):
        with pytest.raises(InputError, match="the shard bare has no ground truth to train on"):
            GroundTruth.of_shard(found, TABLE)
    truth = GroundTruth.of_shard(shard, TABLE)
    with pytest.raises(ImageError, match="city/street_0 has no label file"):
        truth.read(bare.images[0], SIZE)


def test_faulty_files_are_a_sentence(shard: Shard, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere of instance maps is not there"):
        GroundTruth.of_shard(shard, TABLE, instances=str(tmp_path / "nowhere"))
    truth = GroundTruth.of_shard(shard, TABLE)
    with pytest.raises(ImageError, match="is 64 x 48 pixels but its picture 48 x 64"):
        truth.read(shard.images[0], (64, 48))
    label = tmp_path / "labels/city/street_0.png"
    Image.fromarray(np.full(SIZE, 19, np.uint8)).save(label)
    with pytest.raises(UnknownClassError, match=r"street_0\.png holds class id 19"):
        truth.read(shard.images[0], SIZE)


def test_files_are_named_after_images_and_shards_where_they_must() -> None:
    stems = file_stems({"a": ["x/1", "2"], "b": ["2", "x_3"]})
    assert stems == {
        ("a", "x/1"): "x_1",
        ("a", "2"): "a_2",
        ("b", "2"): "b_2",
        ("b", "x_3"): "x_3",
    }
