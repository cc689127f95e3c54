from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.panoptic.dataset import build_dataset
from seg_assets.data.panoptic.reader import open_panoptic
from seg_assets.data.shards import load_shard
from seg_assets.errors import InputError, StoreError
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.training_data import write_grounding
from seg_assets.stages.training_dataset import FOLDER, SplitParams, export_training_dataset
from seg_assets.storage.store import Store
from seg_assets_tests.data.panoptic.street import files
from seg_assets_tests.stages.training import FIRST, SECOND, prepare, registered


@pytest.fixture
def street(tmp_path: Path) -> Store:
    store = registered(tmp_path)
    prepare(store, FIRST, SECOND)
    return store


def stems(root: Path | str, split: str) -> list[str]:
    data = open_panoptic(str(root), split)
    return [data.stem(index) for index in range(len(data))]


def test_a_share_of_the_images_is_held_out_the_same_every_time(street: Store) -> None:
    root = street.location(FOLDER)
    splits = export_training_dataset(street)
    assert {split: summary.images for split, summary in splits.items()} == {
        "train": 4,
        "validation": 1,
    }
    train, validation = stems(root, "train"), stems(root, "validation")
    assert sorted(train + validation) == [f"city_street_{number}" for number in range(5)]
    before = files(Path(root))
    export_training_dataset(street)
    assert files(Path(root)) == before


def test_whole_shards_may_be_held_out(street: Store, tmp_path: Path) -> None:
    params = SplitParams(validation_shards=[FIRST])
    splits = export_training_dataset(street, tmp_path / "data", params)
    assert stems(tmp_path / "data", "validation") == ["city_street_0", "city_street_1"]
    assert splits["train"].images == 3
    assert splits["train"].made_of["split"]["validation_shards"] == [FIRST]


def test_without_a_share_all_is_for_training(street: Store, tmp_path: Path) -> None:
    params = SplitParams(shards=[SECOND], validation_share=0)
    assert export_training_dataset(street, tmp_path / "data", params).keys() == {"train"}
    assert len(stems(tmp_path / "data", "train")) == 3


def test_of_few_images_one_is_held_out(street: Store, tmp_path: Path) -> None:
    params = SplitParams(shards=[FIRST])  # 2 images, and a share of 0.2
    export_training_dataset(street, tmp_path / "data", params)
    assert (
        len(stems(tmp_path / "data", "train")) == len(stems(tmp_path / "data", "validation")) == 1
    )


def test_an_older_validation_split_goes_when_its_images_are_trained_on(
    street: Store, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    assert export_training_dataset(street, root).keys() == {"train", "validation"}
    export_training_dataset(street, root, SplitParams(validation_share=0))
    assert len(stems(root, "train")) == 5
    assert not (root / "validation").exists()
    # what somebody else has put there stays
    (root / "validation").mkdir()
    (root / "validation/notes.txt").touch()
    export_training_dataset(street, root, SplitParams(validation_share=0))
    assert (root / "validation/notes.txt").exists()


def test_the_folders_equal_those_built_without_a_store(street: Store, tmp_path: Path) -> None:
    export_training_dataset(street, tmp_path / "a", SplitParams(validation_share=0))
    build_dataset(tmp_path / "b", "train", [load_shard(street, name) for name in (FIRST, SECOND)])
    ours, theirs = files(tmp_path / "a"), files(tmp_path / "b")
    assert {n for n in ours if ours[n] != theirs.get(n)} <= {"train/dataset.json"}
    assert ours.keys() == theirs.keys()


def test_a_picture_that_has_changed_is_left_out_and_named(street: Store, tmp_path: Path) -> None:
    path = tmp_path / "street/images/city/street_2.jpg"
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path)
    params = SplitParams(validation_share=0)
    summary = export_training_dataset(street, tmp_path / "data", params)["train"]
    assert summary.images == 4
    assert list(summary.failed) == ["city/street_2"]
    assert "has changed since raw_images was written" in summary.failed["city/street_2"]


def test_steps_that_are_missing_or_stale_are_a_sentence(street: Store, tmp_path: Path) -> None:
    street.delete("training_grounding", SECOND)
    with pytest.raises(StoreError, match="the training data of shard street_0001 are not finished"):
        export_training_dataset(street, params=SplitParams(shards=[FIRST, SECOND]))
    splits = export_training_dataset(street, params=SplitParams(validation_share=0))
    assert splits["train"].images == 2  # of the finished shard
    write_grounding(street, SECOND)
    (tmp_path / "street/images/city/street_3.jpg").write_bytes(b"gone bad")
    record_raw_images(street, load_shard(street, SECOND), recompute=True)
    with pytest.raises(StoreError, match="training_panoptic of shard street_0001 was made from"):
        export_training_dataset(street)
    for name in (FIRST, SECOND):
        street.delete("training_semantic", name)
    with pytest.raises(StoreError, match="no shard has finished training data"):
        export_training_dataset(street)


def test_a_user_s_mistakes_are_a_sentence(street: Store) -> None:
    with pytest.raises(InputError, match="no shard street_9999 is registered .* did you mean"):
        export_training_dataset(street, params=SplitParams(shards=["street_9999"]))
    everything = SplitParams(validation_shards=[FIRST, SECOND])
    with pytest.raises(InputError, match="no image is left for training"):
        export_training_dataset(street, params=everything)
    with pytest.raises(InputError, match=r"the store s3://bucket/x is not on this machine"):
        export_training_dataset(Store("s3://bucket/x"))
