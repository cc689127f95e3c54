from pathlib import Path

import pytest

from seg_assets.errors import StoreError
from seg_assets.storage.lineage import upstream
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.store import Store


def test_inputs_of_different_generations_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def write(asset: str, generation: int, sources: dict[str, str]) -> None:
        provenance = {"generation": generation, "upstream": sources}
        with store.write_shard(asset, "city", ["a"], provenance) as writer:
            writer.add("a", [])

    def inputs() -> list[ShardReader]:
        return [store.open_shard(asset, "city") for asset in ("sam_masks", "region_labels")]

    write("sam_masks", 0, {})
    masks = store.open_shard("sam_masks", "city")
    write("region_labels", 0, upstream(masks))
    assert upstream(*inputs())["sam_masks"] == masks.manifest.digest
    write("sam_masks", 1, {})
    with pytest.raises(StoreError, match="region_labels of shard city was made from other sam_m"):
        upstream(*inputs())
