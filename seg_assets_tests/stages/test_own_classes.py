"""A SEEM fine-tuned on classes of one's own, through the store, the pipeline and the scores."""

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from seg_assets.classes.table import load_class_table
from seg_assets.data.images import read_image
from seg_assets.data.shards import Shard, register_shards
from seg_assets.data.sources import find_shards
from seg_assets.errors import StoreError
from seg_assets.labels.params import LabelParams
from seg_assets.labels.tables import stored_classes
from seg_assets.modeling.seem.adapter_config import AdapterConfig
from seg_assets.modeling.seem.adapters import adapter_names, attach_adapters
from seg_assets.modeling.seem.config import SEEM_CONFIGS
from seg_assets.modeling.seem.load import build_seem
from seg_assets.pipeline import Pipeline
from seg_assets.stages.comparison import SAM_SEEM, SEEM
from seg_assets.stages.evaluation import score_maps
from seg_assets.stages.evaluation_report import write_report
from seg_assets.stages.maps import merge_maps, paint_semantic_maps
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.sam_masks import generate_sam_masks
from seg_assets.stages.seem_labels import label_with_seem
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.store import Store
from seg_assets_tests.stages.conftest import EVERYTHING, MANIFEST

TUNED = """
[seem_rooms]
title = "SEEM for three rooms"
kind = "seem"
config = "demo"
seed = 0
classes = "tables/rooms.toml"
licence = "Apache-2.0"
input_size = 64
input_side = "short"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
"""
ROOMS = """
name = "rooms"
title = "three rooms, and no map to anywhere"
classes = [
    { id = 0, name = "kitchen", color = [200, 0, 0] },
    { id = 1, name = "bath", color = [0, 200, 0] },
    { id = 2, name = "garden", color = [0, 0, 200] },
]
"""
ROOMS_TO_CAMVID = """
source = "rooms.toml"
target = "camvid11"
unlisted = "Building"
[classes]
Tree = ["garden"]
"""
IMAGES = ["room_0", "room_1"]


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the table; beside the manifest of a tiny SAM and a SEEM of those classes."""
    folder = tmp_path / "models"
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "rooms.toml").write_text(ROOMS)
    (folder / "manifest.toml").write_text(MANIFEST + TUNED)
    monkeypatch.setenv("SEG_MODELS_DIR", str(folder))
    return folder / "tables"


@pytest.fixture
def rooms(tmp_path: Path, tables: Path, store: Store) -> Shard:
    """Two pictures with ground truth in the three classes."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for i, name in enumerate(IMAGES):
        random = np.random.default_rng(i)
        ids = np.kron(random.integers(0, 3, (3, 4)), np.ones((16, 16))).astype(np.uint8)
        palette = load_class_table(tables / "rooms.toml").palette()
        Image.fromarray(palette[ids]).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(ids).save(tmp_path / "labels" / f"{name}.png")
    (shard,) = find_shards(
        tmp_path / "images",
        prefix="rooms",
        label_root=tmp_path / "labels",
        label_format=f"png:{tables / 'rooms.toml'}",
    )
    register_shards(store, [shard])
    return shard


def run_chain(store: Store, shard: Shard, params: LabelParams) -> None:
    record_raw_images(store, shard)
    generate_sam_masks(store, shard.name, sam="sam_tiny", params=EVERYTHING)
    label_with_seem(store, shard.name, seem="seem_rooms", params=params)
    paint_semantic_maps(store, shard.name)
    merge_maps(store, shard.name)


def read_map(store: Store, asset: str, shard: str, name: str, column: str = "label_map"):
    return decode_label_map(store.open_shard(asset, shard).rows(name)[0][column]["bytes"])


def test_from_pictures_to_scores_in_three_classes_without_any_map(
    store: Store, rooms: Shard, tables: Path
) -> None:
    run_chain(store, rooms, LabelParams())
    score_maps(store, rooms)
    table = load_class_table(tables / "rooms.toml")
    for asset in ("seem_labels", "region_labels", "semantic_maps", "merged_maps"):
        assert stored_classes(store.open_shard(asset, rooms.name)) == table, asset
    for asset in ("seem_labels", "region_labels"):
        assert stored_classes(store.open_shard(asset, rooms.name), "source_classes") == table

    pipeline = Pipeline.load(sam="sam_tiny", seem="seem_rooms", mask_params=EVERYTHING)
    right = {SAM_SEEM: 0, SEEM: 0}
    for image in rooms.images:
        result = pipeline(read_image(image))
        tables_of_result = (result.source_classes, result.semantic_classes, result.merged_classes)
        assert tables_of_result == (table,) * 3
        truth = np.asarray(Image.open(str(image.label_uri)))
        for asset, expected in [
            ("seem_labels", result.seem_map),
            ("semantic_maps", result.semantic_map),
            ("merged_maps", result.merged_map),
        ]:
            found = read_map(store, asset, rooms.name, image.image_id)
            np.testing.assert_array_equal(found, expected)
            assert found.max() < 3
        source = read_map(store, "seem_labels", rooms.name, image.image_id, "source_map")
        np.testing.assert_array_equal(source, result.seem_map)
        rows = store.open_shard("region_labels", rooms.name).rows(image.image_id)
        assert {row["source_id"] for row in rows} <= {0, 1, 2, 3}
        right[SAM_SEEM] += int((result.merged_map == truth).sum())
        right[SEEM] += int((result.seem_map == truth).sum())

    scores = write_report(store, [rooms.name]).scores()
    for method, count in right.items():
        assert scores[method].table == table
        assert scores[method].aacc == pytest.approx(count / (2 * 48 * 64)), method


def test_results_are_read_after_the_table_has_gone(
    store: Store, rooms: Shard, tables: Path
) -> None:
    run_chain(store, rooms, LabelParams())
    expected = load_class_table(tables / "rooms.toml")
    shutil.rmtree(tables)
    assert stored_classes(store.open_shard("merged_maps", rooms.name)) == expected


def test_a_map_that_is_written_later_leads_to_other_classes(
    store: Store, rooms: Shard, tables: Path
) -> None:
    run_chain(store, rooms, LabelParams())
    (tables / "rooms_to_camvid11.toml").write_text(ROOMS_TO_CAMVID)
    score_maps(store, rooms, classes="camvid11")
    scores = write_report(store, [rooms.name]).scores()
    assert {found.table.name for found in scores.values()} == {"camvid11"}
    merge_maps(store, rooms.name, classes="camvid11")
    assert read_map(store, "merged_maps", rooms.name, IMAGES[0]).max() < 11


ADAPTED = (
    TUNED.replace("seem_rooms", "seem_adapted").replace("seed = 0", 'file = "adapted.safetensors"')
    + 'base = "seem_rooms_base"\n[seem_adapted.adapters]\nbackbone_width = 2\ndecoder_width = 2\n'
    + TUNED.replace("seem_rooms", "seem_rooms_base").replace('classes = "tables/rooms.toml"\n', "")
)


def write_adapters(path: Path, seed: int) -> None:
    """Adapters that change what the network answers."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = build_seem(SEEM_CONFIGS["demo"])
        config = AdapterConfig(init="kaiming_fan_out", backbone_width=2, decoder_width=2)
        attach_adapters(model, config)
    names = adapter_names(model)
    save_file({key: value for key, value in model.state_dict().items() if key in names}, path)


def test_a_file_of_adapters_labels_by_its_name_and_says_what_it_lies_on(
    store: Store, rooms: Shard, tables: Path
) -> None:
    with (tables.parent / "manifest.toml").open("a") as manifest:
        manifest.write(ADAPTED)
    run_chain(store, rooms, LabelParams())
    found = [store.open_shard("seem_logits", rooms.name).read(["class_logits"])]
    checkpoints = []
    for seed in (1, 2):
        write_adapters(tables.parent / "adapted.safetensors", seed)
        report = label_with_seem(store, rooms.name, seem="seem_adapted", params=LabelParams())
        assert (report.reused, report.failed) == (0, 0)
        shard = store.open_shard("seem_logits", rooms.name)
        found.append(shard.read(["class_logits"]))
        checkpoints.append(shard.manifest.provenance["checkpoint"])
        assert stored_classes(store.open_shard("seem_labels", rooms.name)).name == "rooms"
    assert not any(one.equals(other) for one, other in combinations(found, 2))
    assert all(name.endswith(" on seed 0 of demo") for name in checkpoints)
    assert checkpoints[0] != checkpoints[1]


def test_an_edited_table_makes_the_labels_anew(store: Store, rooms: Shard, tables: Path) -> None:
    run_chain(store, rooms, LabelParams())
    before = store.open_shard("seem_labels", rooms.name).manifest.fingerprint
    (tables / "rooms.toml").write_text(ROOMS.replace("[0, 0, 200]", "[0, 0, 201]"))
    report = label_with_seem(store, rooms.name, seem="seem_rooms", params=LabelParams())
    assert report.reused == 0
    assert store.open_shard("seem_labels", rooms.name).manifest.fingerprint != before
    with pytest.raises(
        StoreError, match="semantic_maps of .* was made from other (seem|region)_labels"
    ):
        score_maps(store, rooms)
