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
from seg_assets.data.shards import ImageRef, Shard, register_shards
from seg_assets.errors import InputError, StoreError
from seg_assets.evaluation.report import report_of
from seg_assets.evaluation.tally import Tally
from seg_assets.labels.ssa import MaskVote
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import Rle
from seg_assets.stages.comparison import SAM_SEEM, SEEM, SEGMENTOR, SSA
from seg_assets.stages.evaluation import score_maps
from seg_assets.stages.evaluation_report import (
    REPORT_FOLDER,
    REPORT_PATH,
    sum_shards,
    write_report,
)
from seg_assets.stages.run import StageReport
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
    second = {"seem_labels": "source_map", "ssa_maps": "segmentor_map"}.get(asset)
    with store.write_shard(asset, "city", ["a", "b"], provenance) as writer:
        for name in ("a", "b"):
            cell = png_cell(label_map, palette, name)
            writer.add(name, [{"label_map": cell, **({second: cell} if second else {})}])
    write_nothing(store, "sam_masks")
    if asset == "merged_maps":
        write_nothing(store, "region_labels")
    if asset == "ssa_maps":
        write_nothing(store, "ssa_masks")


def write_nothing(store: Store, asset: str) -> None:
    """A finished shard of two images without rows; kept if it is there."""
    if not store.is_complete(asset, "city"):
        with store.write_shard(asset, "city", ["a", "b"], {}) as writer:
            for name in ("a", "b"):
                writer.add(name, [])


def score(store: Store, shard: Shard, **options: Any) -> StageReport:
    """Register the shard as it is now, and evaluate it."""
    register_shards(store, [shard], replace=True)
    return score_maps(store, shard, **options)


def counts_of(tally: Tally, method: str) -> np.ndarray:
    return tally.label_sets[method].confusion.counts


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
    score(store, mapped)
    before = sum_shards(store, ["city"])
    assert (before.images, before.missing["no ground truth"].count) == (0, 2)
    assert before.scores() == {}

    report = score(store, with_truth(mapped, tmp_path / "truth.png"))
    after = sum_shards(store, ["city"])
    assert report.reused == 0
    assert (after.images, {reason: m.count for reason, m in after.missing.items()}) == (
        1,
        {"no ground truth": 1},
    )
    assert {found.confusion.pixels for found in after.label_sets.values()} == {3}
    assert counts_of(after, SAM_SEEM)[:2, :2].tolist() == [[1, 0], [1, 1]]


def test_maps_with_and_without_masks_are_scored_side_by_side(
    store: Store, mapped: Shard, tmp_path: Path
):
    score(store, with_truth(mapped, tmp_path / "truth.png"))
    found = sum_shards(store, ["city"])
    assert list(found.label_sets) == [SAM_SEEM, SEEM]
    assert counts_of(found, SEEM)[:2, :2].tolist() == [[1, 0], [0, 2]]
    report = write_report(store, ["city"])
    assert report.scores()[SAM_SEEM].aacc == pytest.approx(2 / 3)
    written = json.loads(store.read_bytes(REPORT_PATH))["scores"]
    assert {method: scores["aacc"] for method, scores in written.items()} == {
        SAM_SEEM: pytest.approx(2 / 3),
        SEEM: 1,
    }


def test_a_report_without_any_truth_has_no_scores(store: Store, mapped: Shard):
    score(store, mapped)
    write_report(store, ["city"])
    assert json.loads(store.read_bytes(REPORT_PATH))["scores"] == {}


def test_a_truth_of_another_size_fails_its_image_alone(store: Store, mapped: Shard, tmp_path: Path):
    shard = with_truth(mapped, tmp_path / "truth.png")
    (tmp_path / "truth.png").write_bytes(encode_label_map(TRUTH.T, PALETTE))
    score(store, shard)
    (message,) = [m for _, m in store.open_shard("evaluation_metrics", "city").failed.values()]
    assert "of a is 4x1 but the ground truth is 1x4" in message
    assert sum_shards(store, ["city"]).missing["other size"].count == 1


def test_maps_of_images_that_the_shard_no_longer_has_are_refused(store: Store, mapped: Shard):
    with pytest.raises(StoreError, match="merged_maps of shard city holds b, which the shard no"):
        score(store, replace(mapped, images=mapped.images[:1]))


def test_maps_of_an_earlier_version_are_to_be_made_again(store: Store, mapped: Shard):
    with store.write_shard("merged_maps", "city", [], {"earlier": "version"}):
        pass
    with pytest.raises(StoreError, match="merged_maps of shard city does not say which classes"):
        score(store, mapped)


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
    score(store, shard, classes="camvid11")
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
    score(store, shard, classes="camvid11")
    counts = counts_of(sum_shards(store, ["city"]), SAM_SEEM)
    assert counts[ROAD, ROAD] == 2
    assert counts[ROAD, CAMVID.id_of("Pedestrian")] == 2
    assert counts[POLE, ROAD] == 2
    assert counts.sum() == 6
    scores = report_of(sum_shards(store, ["city"]))["scores"][SAM_SEEM]
    assert scores["cannot_name"] == ["Pole"]
    # Road: 2 right of 2 + 2 + 2, Pedestrian: never right, Pole: cannot be
    assert scores["miou"] == pytest.approx((1 / 3 + 0 + 0) / 3)
    assert scores["miou_nameable"] == pytest.approx((1 / 3 + 0) / 2)


def test_other_classes_make_the_metrics_anew(store: Store, tmp_path: Path):
    street(store, np.array([[ROAD, POLE, POLE, ROAD]], np.uint8), "camvid11")
    shard = camvid_truth(CITY, tmp_path / "truth.png", [ROAD, POLE, ROAD, ROAD])
    tables = []
    for classes in (None, "camvid11", "camvid11"):
        report = score(store, shard, classes=classes)
        tables.append((sum_shards(store, ["city"]).scores()[SEEM].table.name, report.reused))
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
        score(store, shard)
    with pytest.raises(InputError, match="no class map from 'rooms' to 'camvid11'"):
        score(store, shard, classes="camvid11")
    assert not store.is_complete("evaluation_metrics", "city")
    score(store, CITY)  # without any truth there is nothing to compare
    assert sum_shards(store, ["city"]).missing["no ground truth"].count == 2


def test_truth_in_a_table_of_your_own_is_compared_in_it(store: Store, tmp_path: Path):
    path = tmp_path / "rooms.toml"
    path.write_text(TWO_ROOMS)
    record = table_record(load_class_table(path))
    for asset in ("seem_labels", "semantic_maps"):
        write_maps(store, asset, ALONE, record)
    write_maps(store, "merged_maps", ALONE, record, wanted_classes="merged19")
    shard = replace(with_truth(CITY, tmp_path / "truth.png"), label_format=f"png:{path}")
    score(store, shard)
    assert sum_shards(store, ["city"]).scores()[SAM_SEEM].aacc == 1


# --- SSA, and what masks are worth ------------------------------------------------------------


def half(columns: list[int]) -> MaskRecord:
    mask = np.zeros((1, 4), bool)
    mask[0, columns] = True
    return MaskRecord(Rle.encode(mask), (columns[0], 0, 1, 0), 2, 0.9, 0.9, (), (0, 0, 4, 1))


def write_masks(store: Store) -> None:
    """Both halves of each image, and what they were voted into."""
    with store.write_shard("sam_masks", "city", ["a", "b"], {"of": "halves"}) as writer:
        for name in ("a", "b"):
            writer.add(name, [half([0, 1]).to_row(name, 0), half([2, 3]).to_row(name, 1)])
    with store.write_shard("ssa_masks", "city", ["a", "b"], {}) as writer:
        for name in ("a", "b"):
            votes = [MaskVote(0, 0, 1.0, True, ()), MaskVote(1, 1, 0.5, True, ())]
            writer.add(name, [vote.to_row(name) for vote in votes])


def test_ssa_alone_is_scored_beside_its_segmentor(store: Store, tmp_path: Path):
    write_masks(store)
    write_maps(store, "ssa_maps", PREDICTED, "merged19", segmentor="hf:some/model")
    score(store, with_truth(CITY, tmp_path / "truth.png"))
    found = sum_shards(store, ["city"])
    assert list(found.label_sets) == [SSA, SEGMENTOR]


def test_ssa_of_the_chains_seem_has_no_segmentor_of_its_own(
    store: Store, mapped: Shard, tmp_path: Path
):
    write_masks(store)
    write_maps(store, "ssa_maps", PREDICTED, "merged19", segmentor="seem")
    score(store, with_truth(mapped, tmp_path / "truth.png"))
    assert list(sum_shards(store, ["city"]).label_sets) == [SAM_SEEM, SEEM, SSA]


def test_a_segmentor_without_a_class_map_does_not_stop_the_others(
    store: Store, mapped: Shard, tmp_path: Path
):
    table = tmp_path / "rooms.toml"
    table.write_text(TWO_ROOMS)
    write_masks(store)
    spec = f"maps:{tmp_path}:{table}"
    write_maps(store, "ssa_maps", ALONE, table_record(load_class_table(table)), segmentor=spec)
    shard = with_truth(mapped, tmp_path / "truth.png")
    score(store, shard)
    found = sum_shards(store, ["city"])
    assert list(found.label_sets) == [SAM_SEEM, SEEM]
    (example,) = found.missing["no labels of SSA"].examples
    assert "no class map from 'rooms' to 'merged19'" in example
    assert found.images == 1

    # a map of one's own beside the table
    merged = load_class_table("merged19").names
    (tmp_path / "rooms_to_merged19.toml").write_text(
        f'source = "rooms"\ntarget = "merged19"\n[classes]\n'
        f'{merged[0]} = ["inside"]\n{merged[1]} = ["outside"]\n'
    )
    score(store, shard)
    found = sum_shards(store, ["city"])
    assert list(found.label_sets) == [SAM_SEEM, SEEM, SSA, SEGMENTOR]
    assert "no labels of SSA" not in found.missing


def test_ssa_alone_without_a_class_map_is_refused(store: Store, tmp_path: Path):
    table = tmp_path / "rooms.toml"
    table.write_text(TWO_ROOMS)
    write_masks(store)
    record = table_record(load_class_table(table))
    write_maps(store, "ssa_maps", ALONE, record, segmentor="hf:some/model")
    with pytest.raises(InputError, match="no class map from 'merged19' to 'rooms'"):
        score(store, with_truth(CITY, tmp_path / "truth.png"))
    with pytest.raises(InputError, match="no class map from 'rooms' to 'merged19'"):
        score(store, with_truth(CITY, tmp_path / "truth.png"), classes="merged19")


def test_the_best_labelling_of_the_masks_bounds_all_of_them(store: Store, tmp_path: Path):
    write_masks(store)
    write_maps(store, "ssa_maps", PREDICTED, "merged19", segmentor="seem")
    score(store, with_truth(CITY, tmp_path / "truth.png"))
    masks = sum_shards(store, ["city"]).masks
    assert masks is not None
    # truth 0 1 | 1 255: the left half is half right whatever it is called, the lower id wins
    assert masks.oracle.counts[:2, :2].tolist() == [[1, 0], [1, 1]]
    assert (masks.purity.pixels, masks.purity.covered, masks.purity.pure) == (3, 3, 2)
    assert masks.recall is None  # this ground truth knows no objects


def test_an_image_that_no_map_was_made_of_is_counted(store: Store, mapped: Shard, tmp_path: Path):
    shard = with_truth(mapped, tmp_path / "truth.png")
    shard = replace(shard, images=(*shard.images, ImageRef("c", "c.png")))
    score(store, shard)
    missing = sum_shards(store, ["city"]).missing
    assert {reason: (m.count, m.examples) for reason, m in missing.items()} == {
        "no ground truth": (1, ("city: b",)),
        "no prediction": (1, ("city: c",)),
    }


def test_ids_outside_the_table_and_damaged_truth_are_told_apart(
    store: Store, mapped: Shard, tmp_path: Path
):
    shard = with_truth(mapped, tmp_path / "truth.png")
    (tmp_path / "damaged.png").write_bytes((tmp_path / "truth.png").read_bytes()[:40])
    second = replace(shard.images[1], label_uri=str(tmp_path / "damaged.png"))
    shard = replace(shard, images=(shard.images[0], second))
    strange = np.array([[0, 77, 1, 255]], np.uint8)
    (tmp_path / "truth.png").write_bytes(encode_label_map(strange, PALETTE))
    score(store, shard)
    missing = sum_shards(store, ["city"]).missing
    assert {reason: m.count for reason, m in missing.items()} == {
        "unknown ids": 1,
        "unreadable truth": 1,
    }
    assert "77" in missing["unknown ids"].examples[0]


def test_an_image_that_was_mended_is_scored_at_the_next_run(
    store: Store, mapped: Shard, tmp_path: Path
):
    shard = with_truth(mapped, tmp_path / "truth.png")
    whole = (tmp_path / "truth.png").read_bytes()
    (tmp_path / "truth.png").write_bytes(whole[:40])
    score(store, shard)
    assert sum_shards(store, ["city"]).images == 0
    (tmp_path / "truth.png").write_bytes(whole)
    score(store, shard)
    assert sum_shards(store, ["city"]).images == 1


def test_an_image_that_the_shard_has_no_longer_is_not_scored(
    store: Store, mapped: Shard, tmp_path: Path
):
    shard = with_truth(mapped, tmp_path / "truth.png")
    score(store, shard)
    register_shards(store, [replace(shard, images=shard.images[1:])], replace=True)
    found = sum_shards(store, ["city"])
    assert found.images == 0
    assert {reason: m.examples for reason, m in found.missing.items()} == {
        "no longer in the shard": ("city: a",),
        "no ground truth": ("city: b",),
    }


def test_tables_of_two_runs_are_not_added(store: Store, mapped: Shard, tmp_path: Path):
    score(store, with_truth(mapped, tmp_path / "truth.png"))
    reader = store.open_shard("evaluation_masks", "city")
    rows = dict(iter(reader))
    with store.write_shard("evaluation_masks", "city", list(rows), {"by": "a kill"}) as writer:
        for image_id, found in rows.items():
            writer.add(image_id, found)
    with pytest.raises(StoreError, match="of shard city are not of one run"):
        sum_shards(store, ["city"])


def test_the_report_says_which_shards_and_models_it_is_of(
    store: Store, mapped: Shard, tmp_path: Path
):
    register_shards(store, [replace(mapped, name="later")])
    score(store, with_truth(mapped, tmp_path / "truth.png"))
    write_report(store, ["city"])
    report = json.loads(store.read_bytes(REPORT_PATH))
    assert report["shards"] == ["city"]
    assert report["shards_not_scored"] == ["later"]
    assert report["shards_outdated"] == []
    assert report["models"] == [
        {"asset": "sam_masks", "model": "not told", "checkpoint": None, "shards": 1},
        {"asset": "seem_labels", "model": "seem_demo", "checkpoint": None, "shards": 1},
    ]
    page = store.read_bytes(f"{REPORT_FOLDER}/index.html").decode()
    assert "not scored yet: later." in page
    assert "seem_demo" in page

    write_maps(store, "ssa_maps", PREDICTED, "merged19", segmentor="hf:some/model")
    write_report(store, ["city"])
    assert json.loads(store.read_bytes(REPORT_PATH))["shards_outdated"] == ["city"]
    store.delete("ssa_maps", "city")
    write_maps(store, "merged_maps", ALONE, "merged19", wanted_classes="merged19", by="others")
    write_report(store, ["city"])
    assert json.loads(store.read_bytes(REPORT_PATH))["shards_outdated"] == ["city"]
    assert "score them again: city." in store.read_bytes(f"{REPORT_FOLDER}/index.html").decode()


def test_the_first_method_of_the_report_is_so_whichever_shard_comes_first(
    store: Store, mapped: Shard, tmp_path: Path
):
    truth = with_truth(mapped, tmp_path / "truth.png")
    score(store, truth)
    for asset in ("evaluation_metrics", "evaluation_masks", "evaluation_objects"):
        reader = store.open_shard(asset, "city")
        told, rows = dict(reader.manifest.provenance), dict(iter(reader))
        if asset == "evaluation_metrics":
            rows = {i: [row for row in found if row["method"] == SEEM] for i, found in rows.items()}
            told = {**told, "prediction_maps": {SEEM: told["prediction_maps"][SEEM]}}
        else:
            told = {**told, "prediction_maps": {SEEM: told["prediction_maps"][SEEM]}}
        with store.write_shard(asset, "a_city", ["a", "b"], told) as writer:
            for image_id, found in rows.items():
                writer.add(image_id, found)
    register_shards(store, [replace(truth, name="a_city")])
    found = sum_shards(store, ["a_city", "city"])
    assert list(found.scores()) == [SAM_SEEM, SEEM]
    assert found.images_of == {SEEM: 2, SAM_SEEM: 1}


def test_shards_scored_in_different_classes_are_not_added(
    store: Store, mapped: Shard, tmp_path: Path
):
    score(store, with_truth(mapped, tmp_path / "truth.png"))
    record = table_record(load_class_table("camvid11"))
    for asset in ("evaluation_metrics", "evaluation_masks", "evaluation_objects"):
        with store.write_shard(asset, "other", [], {"classes": record, "prediction_maps": {}}):
            pass
    register_shards(store, [replace(mapped, name="other")])
    with pytest.raises(InputError, match="shard other was scored in 'camvid11' and city in 'merg"):
        sum_shards(store, ["city", "other"])


def test_the_report_is_json_a_table_and_a_page(store: Store, mapped: Shard, tmp_path: Path):
    score(store, with_truth(mapped, tmp_path / "truth.png"))
    write_report(store, ["city"])
    page = store.read_bytes(f"{REPORT_FOLDER}/index.html").decode()
    assert "SAM + SEEM" in page
    assert "SEEM alone" in page
    assert "<img" in page
    lines = store.read_bytes(f"{REPORT_FOLDER}/per_class.csv").decode().splitlines()
    assert lines[0].startswith("class,IoU SAM + SEEM,IoU SEEM alone,accuracy,precision")
    names = load_class_table("merged19").names
    assert [line.split(",")[0] for line in lines[1:]] == list(names[:2])
