"""Regions are compared in the classes of the maps, which are not those in which they were named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.mapping import load_class_map
from seg_assets.classes.table import load_class_table
from seg_assets.data.shards import ImageRef, Shard, register_shards
from seg_assets.evaluation.report import report_of
from seg_assets.labels.fusion import RegionLabel
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import Rle
from seg_assets.stages.comparison import SAM_SEEM, SEEM
from seg_assets.stages.evaluation import score_maps
from seg_assets.stages.evaluation_report import sum_shards
from seg_assets.storage.png import png_cell
from seg_assets.storage.store import Store

BASE28 = load_class_table("base28")
CAR, ROAD = BASE28.id_of("car"), BASE28.id_of("road")
NAMED = np.array([[CAR, CAR, ROAD, ROAD]], np.uint8)


def write(store: Store, asset: str, rows: list[dict[str, Any]], **provenance: Any) -> None:
    with store.write_shard(asset, "city", ["a"], {"model": "seem_demo", **provenance}) as writer:
        writer.add("a", rows)


def write_map(store: Store, asset: str, ids: np.ndarray, classes: str, **provenance: Any) -> None:
    cell = png_cell(ids, load_class_table(classes).palette(), "a")
    second = {"source_map": cell} if asset == "seem_labels" else {}
    write(store, asset, [{"label_map": cell, **second}], classes=classes, **provenance)


def half(columns: list[int]) -> MaskRecord:
    mask = np.zeros((1, 4), bool)
    mask[0, columns] = True
    return MaskRecord(Rle.encode(mask), (columns[0], 0, 1, 0), 2, 0.9, 0.9, (), (0, 0, 4, 1))


def label(region_id: int, class_id: int) -> RegionLabel:
    return RegionLabel(region_id, region_id - 1, 2, 0, class_id, 0.9, 0.8, 1.0, False, ())


@pytest.fixture
def street(store: Store, tmp_path: Path) -> Shard:
    """A car beside a road, named in base28 without a mistake and merged into merged19."""
    truth = {"labelIds": [[26, 26, 7, 7]], "instanceIds": [[26001, 26001, 7, 7]]}
    for folder, ids in truth.items():
        (tmp_path / folder).mkdir()
        pixels = np.array(ids, np.uint8 if folder == "labelIds" else np.uint16)
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    masks = [half([0, 1]), half([2, 3])]
    write(store, "sam_masks", [mask.to_row("a", i) for i, mask in enumerate(masks)])
    write(store, "region_labels", [label(1, CAR).to_row("a"), label(2, ROAD).to_row("a")])
    for asset in ("seem_labels", "semantic_maps"):
        write_map(store, asset, NAMED, "base28")
    merged = load_class_map("base28", "merged19").apply(NAMED)
    write_map(store, "merged_maps", merged, "merged19", wanted_classes="merged19")
    image = ImageRef("a", "a.png", label_uri=str(tmp_path / "labelIds" / "a.png"))
    shard = Shard("city", (image,), label_format="cityscapes_ids", label_source=str(tmp_path))
    register_shards(store, [shard])
    return shard


@pytest.mark.parametrize("classes", [None, "merged19", "base28"])
def test_regions_without_a_mistake_are_perfect_in_the_merged_classes_too(
    store: Store, street: Shard, classes: str | None
):
    score_maps(store, street, classes=classes)
    report = report_of(sum_shards(store, ["city"]))
    for method in (SAM_SEEM, SEEM):
        assert report["scores"][method]["miou"] == 1
        assert report["panoptic"][method]["all"]["pq"] == 1
    assert report["instances"][SAM_SEEM]["AP"] == pytest.approx(1)
