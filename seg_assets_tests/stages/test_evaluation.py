"""Evaluation follows the shard's definition, which may learn of its ground truth after the maps."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seg_assets.classes.mapping import load_class_map
from seg_assets.classes.record import TableRecord, read_table_record, table_record
from seg_assets.classes.table import load_class_table
from seg_assets.data.shards import ImageRef, Shard
from seg_assets.errors import InputError, StoreError
from seg_assets.stages.evaluation import (
    REPORT_PATH,
    SAM_SEEM,
    SEEM,
    score_maps,
    sum_shards,
    write_report,
)
from seg_assets.storage.png import encode_label_map, png_cell
from seg_assets.storage.store import Store

PALETTE = load_class_table("merged19").palette()
PREDICTED = np.array([[0, 0, 1, 1]], np.uint8)
ALONE = np.array([[0, 1, 1, 1]], np.uint8)  # without masks
TRUTH = np.array([[0, 1, 1, 255]], np.uint8)


def write_maps(
    store: Store,
    asset: str,
    label_map: np.ndarray,
    classes: TableRecord,
    **more: Any,
) -> None:
    """A finished shard of two images with the same map."""
    provenance = {"classes": classes, "model": "seem_demo", **more}
    palette = read_table_record(classes).palette()
    with store.write_shard(asset, "city", ["a", "b"], provenance) as writer:
        for name in ("a", "b"):
            cell = png_cell(label_map, palette, name)
            row = {"source_map": cell} if asset == "seem_labels" else {}
            writer.add(name, [{"label_map": cell, **row}])


@pytest.fixture
def mapped(store: Store) -> Shard:
    """A shard of two images with maps, registered without ground truth."""
    write_maps(store, "seem_labels", ALONE, "merged19")
    write_maps(store, "semantic_maps", PREDICTED, "merged19")
    write_maps(store, "merged_maps", PREDICTED, "merged19", wanted_classes="merged19")
    return Shard("city", (ImageRef("a", "a.png"), ImageRef("b", "b.png")))


def with_truth(shard: Shard, path: Path) -> Shard:
    path.write_bytes(encode_label_map(TRUTH, PALETTE))
    first = replace(shard.images[0], label_uri=str(path))
    return replace(shard, images=(first, *shard.images[1:]), label_format="png:merged19")


def test_ground_truth_that_came_later_is_scored(store: Store, mapped: Shard, tmp_path: Path):
    score_maps(store, mapped)
    before = sum_shards(store, ["city"])
    assert (before.images, before.without_truth) == (0, 2)
    assert before.scores() == {}

    report = score_maps(store, with_truth(mapped, tmp_path / "truth.png"))
    after = sum_shards(store, ["city"])
    assert report.reused == 0
    assert (after.images, after.without_truth, after.failed) == (1, 1, 0)
    assert {found.pixels for found in after.confusions.values()} == {3}
    assert after.confusions[SAM_SEEM].counts[:2, :2].tolist() == [[1, 0], [1, 1]]


def test_maps_with_and_without_masks_are_scored_side_by_side(
    store: Store, mapped: Shard, tmp_path: Path
):
    score_maps(store, with_truth(mapped, tmp_path / "truth.png"))
    found = sum_shards(store, ["city"])
    assert list(found.confusions) == [SAM_SEEM, SEEM]
    assert found.confusions[SEEM].counts[:2, :2].tolist() == [[1, 0], [0, 2]]
    report = write_report(store, ["city"])
    assert report.scores()[SAM_SEEM].aacc == pytest.approx(2 / 3)
    written = json.loads(store.read_bytes(REPORT_PATH))["scores"]
    assert {method: scores["aacc"] for method, scores in written.items()} == {
        SAM_SEEM: pytest.approx(2 / 3),
        SEEM: 1,
    }


def test_a_report_without_any_truth_has_no_scores(store: Store, mapped: Shard):
    score_maps(store, mapped)
    write_report(store, ["city"])
    assert json.loads(store.read_bytes(REPORT_PATH))["scores"] == {}


def test_a_truth_of_another_size_fails_its_image_alone(store: Store, mapped: Shard, tmp_path: Path):
    shard = with_truth(mapped, tmp_path / "truth.png")
    (tmp_path / "truth.png").write_bytes(encode_label_map(TRUTH.T, PALETTE))
    score_maps(store, shard)
    (message,) = [m for _, m in store.open_shard("evaluation_metrics", "city").failed.values()]
    assert "of a is 4x1 but the ground truth is 1x4" in message
    assert sum_shards(store, ["city"]).failed == 1


def test_maps_of_images_that_the_shard_no_longer_has_are_refused(store: Store, mapped: Shard):
    with pytest.raises(StoreError, match="merged_maps of shard city holds b, which the shard no"):
        score_maps(store, replace(mapped, images=mapped.images[:1]))


def test_maps_of_an_earlier_version_are_to_be_made_again(store: Store, mapped: Shard):
    for asset, provenance in [("semantic_maps", {}), ("merged_maps", {"classes": "merged19"})]:
        with store.write_shard(asset, "city", [], provenance):
            pass
    with pytest.raises(StoreError, match="semantic_maps of shard city does not say which classes"):
        score_maps(store, mapped)


# --- in which classes -------------------------------------------------------------------------

CAMVID = load_class_table("camvid11")
ROAD, POLE = CAMVID.id_of("Road"), CAMVID.id_of("Pole")

TWO_ROOMS = """
name = "rooms"
title = "Inside or outside"
classes = [
    { id = 0, name = "inside",  color = [200, 120, 60] },
    { id = 1, name = "outside", color = [60, 160, 90] },
]
"""


def street(store: Store, semantic: np.ndarray, semantic_classes: TableRecord) -> None:
    """Maps of a SEEM fine-tuned on CamVid: Road and Pole everywhere."""
    write_maps(store, "seem_labels", semantic, semantic_classes)
    write_maps(store, "semantic_maps", semantic, semantic_classes)
    merge = load_class_map(read_table_record(semantic_classes), "merged19")
    merged = merge.apply(semantic)
    write_maps(store, "merged_maps", merged, "merged19", wanted_classes="merged19")


def camvid_truth(shard: Shard, path: Path, ids: list[int]) -> Shard:
    path.write_bytes(encode_label_map(np.array([ids], np.uint8), CAMVID.palette()))
    images = tuple(replace(image, label_uri=str(path)) for image in shard.images)
    return replace(shard, images=images, label_format="png:camvid11")


CITY = Shard("city", (ImageRef("a", "a.png"), ImageRef("b", "b.png")))


def test_what_was_trained_on_camvid_is_scored_in_camvids_classes(store: Store, tmp_path: Path):
    street(store, np.array([[ROAD, POLE, POLE, ROAD]], np.uint8), "camvid11")
    shard = camvid_truth(CITY, tmp_path / "truth.png", [ROAD, POLE, ROAD, ROAD])
    score_maps(store, shard, classes="camvid11")
    scores = sum_shards(store, ["city"]).scores()
    for found in scores.values():
        assert found.table == CAMVID
        assert found.iou[POLE] == pytest.approx(1 / 2)
        assert found.iou[ROAD] == pytest.approx(2 / 3)
        assert found.miou == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_maps_in_base28_reach_camvid_by_a_map_that_knows_no_poles(store: Store, tmp_path: Path):
    base28 = load_class_table("base28")
    ids = [base28.id_of(name) for name in ("road", "road", "person", "road")]
    street(store, np.array([ids], np.uint8), "base28")
    shard = camvid_truth(CITY, tmp_path / "truth.png", [ROAD, POLE, ROAD, 255])
    score_maps(store, shard, classes="camvid11")
    counts = sum_shards(store, ["city"]).confusions[SAM_SEEM].counts
    assert counts[ROAD, ROAD] == 2
    assert counts[ROAD, CAMVID.id_of("Pedestrian")] == 2
    assert counts[POLE, ROAD] == 2
    assert counts.sum() == 6


def test_other_classes_make_the_metrics_anew(store: Store, tmp_path: Path):
    street(store, np.array([[ROAD, POLE, POLE, ROAD]], np.uint8), "camvid11")
    shard = camvid_truth(CITY, tmp_path / "truth.png", [ROAD, POLE, ROAD, ROAD])
    tables = []
    for classes in (None, "camvid11", "camvid11"):
        report = score_maps(store, shard, classes=classes)
        tables.append((sum_shards(store, ["city"]).confusions[SEEM].table.name, report.reused))
    assert tables == [("merged19", 0), ("camvid11", 0), ("camvid11", 2)]


def test_classes_that_no_map_leads_to_are_refused(store: Store, tmp_path: Path):
    path = tmp_path / "rooms.toml"
    path.write_text(TWO_ROOMS)
    record = table_record(load_class_table(path))
    for asset in ("seem_labels", "semantic_maps"):
        write_maps(store, asset, ALONE, record)
    write_maps(store, "merged_maps", ALONE, record, wanted_classes="merged19")
    shard = camvid_truth(CITY, tmp_path / "truth.png", [ROAD, POLE, ROAD, 255])
    with pytest.raises(InputError, match="no class map from 'camvid11' to 'rooms'"):
        score_maps(store, shard)
    with pytest.raises(InputError, match="no class map from 'rooms' to 'camvid11'"):
        score_maps(store, shard, classes="camvid11")
    assert not store.is_complete("evaluation_metrics", "city")
    score_maps(store, CITY)  # without any truth there is nothing to compare
    assert sum_shards(store, ["city"]).without_truth == 2


def test_truth_in_a_table_of_your_own_is_compared_in_it(store: Store, tmp_path: Path):
    path = tmp_path / "rooms.toml"
    path.write_text(TWO_ROOMS)
    record = table_record(load_class_table(path))
    for asset in ("seem_labels", "semantic_maps"):
        write_maps(store, asset, ALONE, record)
    write_maps(store, "merged_maps", ALONE, record, wanted_classes="merged19")
    shard = replace(with_truth(CITY, tmp_path / "truth.png"), label_format=f"png:{path}")
    score_maps(store, shard)
    assert sum_shards(store, ["city"]).scores()[SAM_SEEM].aacc == 1
