"""A store with a street's shards, as far as training data need it."""

from pathlib import Path

from seg_assets.data.shards import load_shard, register_shards
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.training_categories import CategoryParams, write_categories
from seg_assets.stages.training_data import (
    segment_ground_truth,
    write_grounding,
    write_semantic_maps,
)
from seg_assets.storage.store import Store
from seg_assets_tests.data.panoptic.street import street_shards, write_street

FIRST, SECOND = "street_0000", "street_0001"  # 2 and 3 images


def registered(folder: Path, count: int = 5, shard_size: int = 3) -> Store:
    """Register pictures with labels and record them; the folder of pictures is <folder>/street."""
    write_street(folder / "street", count)
    store = Store(folder / "store")
    register_shards(store, street_shards(folder / "street", shard_size=shard_size))
    for name in (FIRST, SECOND)[: -(-count // shard_size)]:
        record_raw_images(store, load_shard(store, name))
    return store


def prepare(store: Store, *shards: str) -> None:
    """All steps for the shards."""
    write_categories(store, CategoryParams())
    for name in shards:
        segment_ground_truth(store, load_shard(store, name))
        write_semantic_maps(store, name)
        write_grounding(store, name)
