"""Each check fails when what it watches over is wrong; a damaged store is a sentence."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest

from seg_assets.classes.table import load_class_table
from seg_assets.storage.png import png_cell
from seg_assets.storage.store import Store
from seg_assets_tests.defs.conftest import GOOD, SHARD, RunJob

Rows = list[dict[str, Any]]


def check(name: str, asset: str) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(asset), name)


def rewrite(root: Path, asset: str, change: Callable[[str, Rows], Rows | None]) -> None:
    """Write a shard again with other rows; None leaves an image out."""
    store = Store(root / "store")
    with store.open_shard(asset, SHARD) as reader:
        provenance: Mapping[str, Any] = reader.manifest.provenance
        changed = {image_id: change(image_id, rows) for image_id, rows in reader}
    kept = {image_id: rows for image_id, rows in changed.items() if rows is not None}
    with store.write_shard(asset, SHARD, list(kept), provenance, recompute=True) as writer:
        for image_id in writer.pending:
            writer.add(image_id, kept[image_id])


def evaluate(run_job: RunJob, key: dg.AssetCheckKey, root: Path) -> dg.AssetCheckEvaluation:
    (evaluation,) = run_job(key, root).get_asset_check_evaluations()
    assert evaluation.partition == SHARD
    return evaluation


def other_map(label_map: np.ndarray, image_id: str) -> Rows:
    palette = load_class_table("merged19").palette()
    return [{"label_map": png_cell(label_map, palette, image_id)}]


def swap_map(label_map: np.ndarray) -> Callable[[str, Rows], Rows]:
    return lambda image_id, rows: other_map(label_map, image_id) if image_id == GOOD[1] else rows


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda image_id, rows: None if image_id == GOOD[1] else rows, (1, 0)),
        (swap_map(np.zeros((48, 63), np.uint8)), (0, 1)),
        (swap_map(np.zeros((64, 48), np.uint8)), (0, 1)),
        (swap_map(np.full((48, 64), 19, np.uint8)), (0, 1)),
        (swap_map(np.full((48, 64), 254, np.uint8)), (0, 1)),
    ],
    ids=["missing", "too narrow", "turned", "id behind the last class", "id before ignore"],
)
def test_maps_are_complete_fails(copied: Path, run_job: RunJob, change, counts) -> None:
    rewrite(copied, "merged_maps", change)
    found = evaluate(run_job, check("maps_are_complete", "merged_maps"), copied)
    assert not found.passed
    assert (found.metadata["missing"].value, found.metadata["wrong"].value) == counts
    assert found.metadata["first"].value == GOOD[1]


def test_maps_without_any_label_are_complete(copied: Path, run_job: RunJob) -> None:
    rewrite(copied, "merged_maps", swap_map(np.full((48, 64), 255, np.uint8)))
    assert evaluate(run_job, check("maps_are_complete", "merged_maps"), copied).passed


def test_a_damaged_part_fails_the_check_with_a_sentence(copied: Path, run_job: RunJob) -> None:
    part = next((copied / "store" / "merged_maps" / SHARD).glob("*.parquet"))
    data = bytearray(part.read_bytes())
    pixels = pq.read_metadata(part).row_group(0).column(1)  # label_map.bytes of the first image
    data[pixels.data_page_offset + pixels.total_compressed_size - 9] ^= 0xFF
    part.write_bytes(bytes(data))
    result = run_job(check("maps_are_complete", "merged_maps"), copied)
    assert not result.success
    (event,) = result.get_step_failure_events()
    message = event.step_failure_data.error.message
    assert str(part) in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"height": 47},
        {"area": 1},
        {"predicted_iou": float("nan")},
        {"stability_score": float("inf")},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_masks_fit_images_fails(copied: Path, run_job: RunJob, broken: dict[str, Any]) -> None:
    def change(image_id: str, rows: Rows) -> Rows:
        return [{**row, **broken} if row["mask_id"] == 2 else row for row in rows]

    rewrite(copied, "sam_masks", lambda i, rows: change(i, rows) if i == GOOD[2] else rows)
    found = evaluate(run_job, check("masks_fit_images", "sam_masks"), copied)
    assert not found.passed
    assert found.metadata["wrong_masks"].value == 1
    assert found.metadata["first"].value == f"{GOOD[2]}:2"


def test_every_image_has_masks_warns(copied: Path, run_job: RunJob) -> None:
    rewrite(copied, "sam_masks", lambda i, rows: [] if i == GOOD[0] else rows)
    found = evaluate(run_job, check("every_image_has_masks", "sam_masks"), copied)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.metadata["images_without_masks"].value == 1
    assert found.metadata["first"].value == GOOD[0]


@pytest.mark.parametrize(
    ("area", "fallback", "passed"),
    [(48 * 64, False, True), (48 * 64, True, False), (48 * 64 // 4, False, False)],
    ids=["sure", "mostly fallback", "little covered"],
)
def test_labels_are_sure(
    copied: Path, run_job: RunJob, area: int, fallback: bool, passed: bool
) -> None:
    def one_region(image_id: str, rows: Rows) -> Rows:
        return [{**rows[0], "area": area, "fallback": fallback}]

    rewrite(copied, "region_labels", one_region)
    found = evaluate(run_job, check("labels_are_sure", "region_labels"), copied)
    assert (found.passed, found.severity) == (passed, dg.AssetCheckSeverity.WARN)


@pytest.mark.parametrize(
    ("share", "passed"), [(0.5, True), (0.49, False), (None, True)], ids=["half", "less", "none"]
)
def test_votes_are_clear(copied: Path, run_job: RunJob, share: float | None, passed: bool) -> None:
    def one_vote(image_id: str, rows: Rows) -> Rows:
        return [] if share is None else [{**rows[0], "vote_share": share}]

    rewrite(copied, "ssa_masks", one_vote)
    found = evaluate(run_job, check("votes_are_clear", "ssa_masks"), copied)
    assert (found.passed, found.severity) == (passed, dg.AssetCheckSeverity.WARN)


def test_truth_was_found_warns_when_some_is_missing(copied: Path, run_job: RunJob) -> None:
    rewrite(copied, "evaluation_metrics", lambda i, rows: [] if i == GOOD[0] else rows)
    found = evaluate(run_job, check("truth_was_found", "evaluation_metrics"), copied)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.metadata["images_with_truth"].value == 2
    assert found.metadata["images_without_truth"].value == 1


def test_truth_was_found_warns_when_no_image_could_be_scored(copied: Path, run_job: RunJob) -> None:
    store = Store(copied / "store")
    with store.write_shard("evaluation_metrics", SHARD, GOOD, {}, recompute=True) as writer:
        for image_id in GOOD:
            writer.fail(image_id, "evaluation_metrics", "the sizes differ")
    found = evaluate(run_job, check("truth_was_found", "evaluation_metrics"), copied)
    assert (found.passed, found.metadata["images_failed"].value) == (False, 3)


def test_a_shard_without_any_truth_is_no_fault(copied: Path, run_job: RunJob) -> None:
    rewrite(copied, "evaluation_metrics", lambda i, rows: [])
    assert evaluate(run_job, check("truth_was_found", "evaluation_metrics"), copied).passed


def test_all_images_readable_passes_without_damage(copied: Path, run_job: RunJob) -> None:
    rewrite(copied, "raw_images", lambda i, rows: rows)
    assert evaluate(run_job, check("all_images_readable", "raw_images"), copied).passed
    assert evaluate(run_job, check("shard_has_images", "raw_images"), copied).passed


def test_a_check_of_a_shard_that_is_not_there_is_a_sentence(copied: Path, run_job: RunJob) -> None:
    shutil.rmtree(copied / "store" / "merged_maps")
    result = run_job(check("maps_are_complete", "merged_maps"), copied)
    (event,) = result.get_step_failure_events()
    assert event.step_failure_data.error.message == (
        f"merged_maps has no finished shard {SHARD} in {copied}/store/merged_maps: run `dagster "
        f"asset materialize -m seg_assets.definitions --select merged_maps --partition {SHARD}`\n"
    )
