"""Evaluation follows the shard's definition, which may learn of its ground truth after the maps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seg_assets.classes.table import load_class_table
from seg_assets.data.shards import ImageRef, Shard
from seg_assets.errors import StoreError
from seg_assets.stages.evaluation import score_merged_maps, sum_shards
from seg_assets.storage.png import encode_label_map, png_cell
from seg_assets.storage.store import Store

PALETTE = load_class_table("merged19").palette()
PREDICTED = np.array([[0, 0, 1, 1]], np.uint8)
TRUTH = np.array([[0, 1, 1, 255]], np.uint8)


@pytest.fixture
def mapped(store: Store) -> Shard:
    """A shard of two images with maps, registered without ground truth."""
    shard = Shard("city", (ImageRef("a", "a.png"), ImageRef("b", "b.png")))
    names = [image.image_id for image in shard.images]
    with store.write_shard("merged_maps", "city", names, {"classes": "merged19"}) as writer:
        for name in names:
            writer.add(name, [{"label_map": png_cell(PREDICTED, PALETTE, name)}])
    return shard


def with_truth(shard: Shard, path: Path) -> Shard:
    path.write_bytes(encode_label_map(TRUTH, PALETTE))
    first = replace(shard.images[0], label_uri=str(path))
    return replace(shard, images=(first, *shard.images[1:]), label_format="png:merged19")


def test_ground_truth_that_came_later_is_scored(store: Store, mapped: Shard, tmp_path: Path):
    score_merged_maps(store, mapped)
    before = sum_shards(store, ["city"])
    assert (before.images, before.without_truth) == (0, 2)
    assert before.scores() is None

    report = score_merged_maps(store, with_truth(mapped, tmp_path / "truth.png"))
    after = sum_shards(store, ["city"])
    assert report.reused == 0
    assert (after.images, after.without_truth, after.failed) == (1, 1, 0)
    assert after.confusion is not None
    assert after.confusion.pixels == 3
    assert after.confusion.counts[:2, :2].tolist() == [[1, 0], [1, 1]]


def test_a_truth_of_another_size_fails_its_image_alone(store: Store, mapped: Shard, tmp_path: Path):
    shard = with_truth(mapped, tmp_path / "truth.png")
    (tmp_path / "truth.png").write_bytes(encode_label_map(TRUTH.T, PALETTE))
    score_merged_maps(store, shard)
    (message,) = [m for _, m in store.open_shard("evaluation_metrics", "city").failed.values()]
    assert "of a is 4x1 but the ground truth is 1x4" in message
    assert sum_shards(store, ["city"]).failed == 1


def test_maps_of_images_that_the_shard_no_longer_has_are_refused(store: Store, mapped: Shard):
    with pytest.raises(StoreError, match="merged_maps of shard city holds b, which the shard no"):
        score_merged_maps(store, replace(mapped, images=mapped.images[:1]))
