import json
from pathlib import Path

import pytest

from seg_assets.data.shards import Shard, load_shard, register_shards
from seg_assets.errors import InputError, StoreError, UnknownClassError
from seg_assets.stages.training_categories import (
    CATEGORIES_PATH,
    CategoryParams,
    load_categories,
    read_named_file,
    write_categories,
)
from seg_assets.storage.store import Store
from seg_assets_tests.data.panoptic.tables import STREET
from seg_assets_tests.stages.training import FIRST, registered


def test_the_classes_of_the_label_files_are_the_default(tmp_path: Path) -> None:
    store = registered(tmp_path, 1)
    table = write_categories(store, CategoryParams())
    assert len(table) == 19
    assert load_categories(store) == table
    content = json.loads(store.read_bytes(CATEGORIES_PATH))
    assert content["categories"][0]["name"] == "road"


def test_a_table_and_its_things_may_be_named(store: Store) -> None:
    table = write_categories(store, CategoryParams(classes="camvid11", things=["Car"]))
    assert [item.name for item in table.categories if item.is_thing] == ["Car"]
    with pytest.raises(UnknownClassError, match="'Cars'"):
        write_categories(store, CategoryParams(classes="camvid11", things=["Cars"]))


def test_a_list_of_ones_own_is_taken_in_its_order(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(STREET.to_json()))
    assert write_categories(store, CategoryParams(classes=str(path))) == STREET
    with pytest.raises(InputError, match="says what is a thing already"):
        write_categories(store, CategoryParams(classes=str(path), things=["car"]))
    with pytest.raises(InputError, match=r"the file .*gone\.json cannot be read"):
        write_categories(store, CategoryParams(classes=str(tmp_path / "gone.json")))
    assert read_named_file(str(path)) == path.read_bytes()


def test_label_files_that_do_not_say_which_classes_are_a_sentence(
    tmp_path: Path, store: Store
) -> None:
    with pytest.raises(InputError, match="are without labels: name the categories with `classes`"):
        write_categories(store, CategoryParams())
    street = registered(tmp_path, 1)
    register_shards(street, [Shard("other", load_shard(street, FIRST).images, "camvid")])
    with pytest.raises(InputError, match="of the class tables camvid11 and cityscapes19"):
        write_categories(street, CategoryParams())


def test_a_missing_or_damaged_table_is_a_sentence(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no category table .* --select training_categor"):
        load_categories(store)
    store.write_bytes(CATEGORIES_PATH, b"{")
    with pytest.raises(StoreError, match="is not JSON .*; materialise training_categories again"):
        load_categories(store)
