"""Which table a result is in: with a map, without one, as wished and as ordered."""

from pathlib import Path

import pytest

from seg_assets.classes.mapping import load_class_map
from seg_assets.classes.record import table_record
from seg_assets.classes.table import load_class_table
from seg_assets.errors import InputError, StoreError
from seg_assets.labels.params import LabelParams
from seg_assets.labels.tables import map_folders, merged_map, semantic_map, stored_classes
from seg_assets.storage.store import Store

ROOMS = """
name = "rooms"
title = "three rooms"
classes = [
    { id = 0, name = "kitchen", color = [200, 0, 0] },
    { id = 1, name = "bath", color = [0, 200, 0] },
    { id = 2, name = "garden", color = [0, 0, 200] },
]
"""
ROOMS_TO_BASE28 = """
source = "rooms.toml"
target = "base28"
unlisted = "wall"
[classes]
earth = ["garden"]
"""
MODEL = """
[tuned]
title = "tuned"
kind = "seem"
config = "demo"
seed = 0
classes = "rooms.toml"
licence = "Apache-2.0"
input_size = 256
input_side = "short"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
"""


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of one's own beside the manifest that names it; no class map is there yet."""
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    (tmp_path / "manifest.toml").write_text(MODEL)
    (tmp_path / "rooms.toml").write_text(ROOMS)
    return tmp_path / "rooms.toml"


def tables(class_map) -> tuple[str, str]:
    return class_map.source.name, class_map.target.name


def test_coco_becomes_base28_and_merged19_as_it_always_did() -> None:
    for pavement in (False, True):
        params = LabelParams(pavement_to_sidewalk=pavement)
        semantic = semantic_map("coco133", params)
        expected = load_class_map("coco133", "base28", pavement_to_sidewalk=pavement)
        assert semantic.digest == expected.digest
    merged = merged_map(semantic.target)
    assert merged.digest == load_class_map("base28", "merged19").digest


@pytest.mark.parametrize(
    ("source", "wanted", "semantic", "merged"),
    [
        ("camvid11", "base28", "base28", "merged19"),
        ("camvid11", "source", "camvid11", "merged19"),
        ("camvid11", "camvid11", "camvid11", "merged19"),
        ("coco133", "cityscapes19", "cityscapes19", "merged19"),
        ("merged19", "base28", "merged19", "merged19"),  # no map leads back
    ],
)
def test_maps_lead_as_far_as_there_are_any(source, wanted, semantic, merged) -> None:
    found = semantic_map(source, LabelParams(semantic_classes=wanted))
    assert tables(found) == (source, semantic)
    assert tables(merged_map(found.target)) == (semantic, merged)


def test_without_any_map_all_maps_are_in_the_models_own_classes(rooms: Path) -> None:
    found = semantic_map(rooms, LabelParams())
    assert tables(found) == ("rooms", "rooms")
    assert found.lut[:4].tolist() == [0, 1, 2, 255]
    assert tables(merged_map(found.target)) == ("rooms", "rooms")


def test_a_map_beside_the_models_table_is_used(rooms: Path) -> None:
    rooms.with_name("rooms_to_base28.toml").write_text(ROOMS_TO_BASE28)
    assert tables(semantic_map(rooms, LabelParams())) == ("rooms", "base28")
    own = semantic_map(rooms, LabelParams(semantic_classes="source")).target
    assert own.name == "rooms"
    assert tables(merged_map(own)) == ("rooms", "rooms")
    assert tables(merged_map(own, folders=map_folders("tuned"))) == ("rooms", "merged19")


def test_maps_lie_beside_the_table_of_a_model_that_has_its_own(rooms: Path) -> None:
    assert map_folders("tuned") == (rooms.parent,)
    assert map_folders("seem_demo") == ()
    assert map_folders("long gone") == ()


def test_another_table_than_the_usual_is_no_wish_but_an_order(rooms: Path) -> None:
    with pytest.raises(InputError, match="no class map from 'rooms' to 'camvid11'"):
        semantic_map(rooms, LabelParams(semantic_classes="camvid11"))
    with pytest.raises(InputError, match="no class map from 'rooms' to 'camvid11'"):
        merged_map(load_class_table(rooms), "camvid11")


def test_a_faulty_map_is_not_taken_for_none(rooms: Path) -> None:
    faulty = ROOMS_TO_BASE28.replace("garden", "gardn")
    rooms.with_name("rooms_to_base28.toml").write_text(faulty)
    with pytest.raises(InputError, match="'rooms' has no class 'gardn'"):
        semantic_map(rooms, LabelParams())


def test_a_shard_says_which_classes_it_holds(tmp_path: Path, rooms: Path) -> None:
    store, own = Store(tmp_path / "store"), load_class_table(rooms)
    provenance = {"classes": table_record(own), "source_classes": "coco133"}
    with store.write_shard("seem_labels", "city", [], provenance):
        pass
    rooms.unlink()  # the result does not need the file any more
    shard = store.open_shard("seem_labels", "city")
    assert stored_classes(shard) == own
    assert stored_classes(shard, "source_classes").name == "coco133"


def test_a_shard_of_an_earlier_version_is_to_be_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.write_shard("semantic_maps", "city", [], {"upstream": {}}):
        pass
    with pytest.raises(StoreError, match="semantic_maps of shard city does not say which classes"):
        stored_classes(store.open_shard("semantic_maps", "city"))
