from pathlib import Path

import pyarrow.parquet as pq
import pytest

from seg_assets.errors import InputError, StoreError
from seg_assets.storage.schema import SCHEMAS
from seg_assets.storage.store import Store
from seg_assets_tests.storage.examples import ASSET, BAD, IMAGES, SHARD, expected, write


def test_images_are_read_in_any_order(store: Store) -> None:
    write(store)
    with store.open_shard(ASSET, SHARD) as reader:
        for image_id in [IMAGES[8], IMAGES[1], IMAGES[2], IMAGES[7]]:
            assert reader.rows(image_id) == expected()[image_id]


def test_read_gives_all_rows_in_the_schema(store: Store) -> None:
    write(store)
    table = store.open_shard(ASSET, SHARD).read()
    assert table.schema.equals(SCHEMAS[ASSET])
    assert table.to_pylist() == [row for rows in expected().values() for row in rows]


def test_read_and_table_take_chosen_columns_only(store: Store) -> None:
    write(store)
    reader = store.open_shard(ASSET, SHARD)
    assert reader.read(["pixels", "table"]).column_names == ["pixels", "table"]
    assert reader.table(IMAGES[1], ["pixels"]).to_pylist() == [{"pixels": 1}]
    assert reader.table(IMAGES[0], ["pixels"]).column_names == ["pixels"]


def test_an_image_without_rows_is_no_failure(local_store: Store) -> None:
    write(local_store)
    reader = local_store.open_shard(ASSET, SHARD)
    assert reader.rows(IMAGES[0]) == []
    assert IMAGES[0] in reader


def test_failed_and_unknown_images_have_no_rows(local_store: Store) -> None:
    write(local_store)
    reader = local_store.open_shard(ASSET, SHARD)
    assert len(reader) == 9
    assert BAD not in reader
    with pytest.raises(StoreError, match="no rows of street/004: read failed, it is truncated"):
        reader.rows(BAD)
    with pytest.raises(StoreError, match="has no image 'street/9'"):
        reader.rows("street/9")
    with pytest.raises(InputError, match="no column 'colour'"):
        reader.read(["colour"])


def test_a_missing_shard_is_answered_with_the_command_that_makes_it(store: Store) -> None:
    with pytest.raises(StoreError, match=f"--select {ASSET} --partition {SHARD}"):
        store.open_shard(ASSET, SHARD)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_part_is_named(local_store: Store, damage: str) -> None:
    write(local_store)
    part = next(Path(local_store.root).rglob("part-00001*"))
    data = bytearray(part.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        with pq.ParquetFile(part) as parquet:
            chunk = parquet.metadata.row_group(0).column(1)
        data[chunk.data_page_offset + chunk.total_compressed_size - 2] ^= 0xFF
    else:
        data.clear()
    part.write_bytes(data)
    reader = local_store.open_shard(ASSET, SHARD)
    assert reader.rows(IMAGES[1]) == expected()[IMAGES[1]]
    with pytest.raises(StoreError, match=f"{part.name} is damaged"):
        [reader.rows(image_id) for image_id in (IMAGES[4 - 1], IMAGES[5])]
