"""A run of the whole graph over a shard with good and bad pictures, and what it tells Dagster."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from PIL import Image

from seg_assets.stages.evaluation_report import REPORT_PATH
from seg_assets.stages.run import CODE_VERSIONS
from seg_assets_tests.defs.conftest import (
    EVERYTHING_CONFIG,
    GOOD,
    SHARD,
    FinishedRun,
    RunJob,
    register,
)
from seg_assets_tests.stages.conftest import write_pictures

TRAINING = {asset for asset in CODE_VERSIONS if asset.startswith("training_")}
# tables that are written with evaluation_metrics, and no assets of their own
BESIDE = {"evaluation_masks", "evaluation_objects"}
PARTITIONED = sorted(set(CODE_VERSIONS) - TRAINING - BESIDE - {"evaluation_report"})
ON_A_DEVICE = ("sam_masks", "seem_logits", "seem_labels", "region_labels")
NUMBERS = {
    "images": 3,
    "images_reused": 0,
    "images_failed": 0,
    "images_per_second": None,
    "seconds": None,
    "peak_memory_mib": None,
    "rows": None,
    "bytes": None,
    "bytes_per_image": None,
}
OWN_NUMBERS = {
    "sam_masks": ["masks_per_image", "mean_predicted_iou", "mean_stability_score"],
    "region_labels": ["regions_per_image", "coverage", "fallback_share", "mean_score"],
    "ssa_masks": ["masks_per_image", "mean_vote_share", "kept_share"],
    "evaluation_metrics": ["miou", "fwiou", "macc", "aacc", "boundary_iou", "seem_miou"]
    + ["ssa_miou", "oracle_miou", "images_with_truth", "images_without_prediction"],
}
PICTURES = {
    "raw_images": ["preview"],
    "sam_masks": ["preview"],
    "seem_labels": ["preview", "legend"],
    "semantic_maps": ["preview", "legend"],
    "merged_maps": ["preview", "legend"],
    "ssa_maps": ["preview", "legend"],
    "evaluation_metrics": ["iou_chart", "confusion_chart"],
}
CHECKS = {
    # check: (asset, passed, severity)
    "shard_has_images": ("raw_images", True, "ERROR"),
    "all_images_readable": ("raw_images", False, "WARN"),
    "masks_fit_images": ("sam_masks", True, "ERROR"),
    "every_image_has_masks": ("sam_masks", True, "WARN"),
    "labels_are_sure": ("region_labels", True, "WARN"),
    "votes_are_clear": ("ssa_masks", True, "WARN"),
    "maps_are_complete": ("merged_maps", True, "ERROR"),
    "truth_was_found": ("evaluation_metrics", True, "WARN"),
}


def value(materialization: dg.AssetMaterialization, key: str) -> Any:
    return materialization.metadata[key].value


def test_bad_pictures_do_not_stop_the_run(finished: FinishedRun) -> None:
    assert finished.result.success
    assert sorted(finished.materializations) == PARTITIONED
    raw = finished.store.open_shard("raw_images", SHARD)
    assert raw.image_ids == GOOD
    assert set(raw.failed) == {"picture_cut", "picture_not"}
    for asset in PARTITIONED[1:]:
        assert finished.store.is_complete(asset, SHARD), asset


@pytest.mark.parametrize("asset", PARTITIONED)
def test_materialisations_name_partition_and_versions(finished: FinishedRun, asset: str) -> None:
    done = finished.materializations[asset]
    stored = finished.store.open_shard(asset, SHARD).manifest
    tags = done.tags or {}
    assert done.partition == SHARD
    assert tags["dagster/code_version"] == CODE_VERSIONS[asset]
    assert tags["dagster/data_version"] == stored.digest
    assert value(done, "fingerprint") == stored.fingerprint


@pytest.mark.parametrize("asset", PARTITIONED)
def test_numbers_are_numbers_that_dagster_can_plot(finished: FinishedRun, asset: str) -> None:
    done = finished.materializations[asset]
    for key, expected in NUMBERS.items():
        shown = done.metadata[key]
        assert isinstance(shown, dg.IntMetadataValue | dg.FloatMetadataValue), key
        if key == "images_failed" and asset == "raw_images":
            assert shown.value == 2
        elif expected is not None:
            assert shown.value == expected, key
        elif key != "images_per_second":
            assert shown.value >= 0
    for key in OWN_NUMBERS.get(asset, ()):
        assert isinstance(done.metadata[key], dg.IntMetadataValue | dg.FloatMetadataValue), key
    steps = [key for key in done.metadata if key.startswith("seconds_")]
    assert "seconds_read" in steps


@pytest.mark.parametrize("asset", PARTITIONED)
def test_provenance_says_what_the_result_was_made_from(finished: FinishedRun, asset: str) -> None:
    done = finished.materializations[asset]
    assert value(done, "code_version") == CODE_VERSIONS[asset]
    assert Path(value(done, "path")).is_dir()
    assert ("device" in done.metadata) == (asset in ON_A_DEVICE)
    if asset in ON_A_DEVICE:
        assert value(done, "device") == "cpu"
        assert value(done, "model") == ("sam_tiny" if asset == "sam_masks" else "seem_demo")
        assert value(done, "checkpoint")
        assert isinstance(value(done, "params"), dict)
    if asset == "sam_masks":
        assert value(done, "checkpoint") == "seed 0 of tiny"
        assert value(done, "params")["points_per_side"] == 4
    if asset == "evaluation_metrics":
        assert value(done, "label_format") == "png:base28"
    if asset != "raw_images":
        assert set(value(done, "upstream")) < set(PARTITIONED)


@pytest.mark.parametrize("asset", PICTURES)
def test_pictures_come_inline_first_and_small(finished: FinishedRun, asset: str) -> None:
    done = finished.materializations[asset]
    assert list(done.metadata)[: len(PICTURES[asset])] == PICTURES[asset]
    for key in PICTURES[asset]:
        shown = done.metadata[key]
        assert isinstance(shown, dg.MarkdownMetadataValue)
        match = re.fullmatch(r"!\[[^]]*\]\(data:image/(png|jpeg);base64,([^)]+)\)", shown.value)
        assert match, shown.value[:80]
        data = base64.b64decode(match[2], validate=True)
        assert len(data) <= 150_000
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == match[1].upper()
            assert min(picture.size) > 20


def test_failed_images_are_a_table_in_the_metadata(finished: FinishedRun) -> None:
    table = value(finished.materializations["raw_images"], "errors")
    lines = table.splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| picture_cut | raw_images | ")
    assert lines[3].startswith("| picture_not | raw_images | ")
    assert value(finished.materializations["sam_masks"], "errors") == "none"


def test_checks_are_evaluated_for_the_partition(finished: FinishedRun) -> None:
    found = {
        name: (check.asset_key.to_user_string(), check.passed, check.severity.value)
        for name, check in finished.checks.items()
    }
    assert found == CHECKS
    assert {check.partition for check in finished.checks.values()} == {SHARD}
    damaged = finished.checks["all_images_readable"].metadata
    assert damaged["images_failed"].value == 2
    assert damaged["first"].value in ("picture_cut", "picture_not")


def test_the_report_adds_up_the_shards(finished: FinishedRun, run_job: RunJob) -> None:
    result = run_job("report", finished.root)
    assert result.success
    report = json.loads(finished.store.read_bytes(REPORT_PATH))
    assert (report["shards"], report["images"], report["images_failed"]) == ([SHARD], 3, 0)
    (event,) = result.get_asset_materialization_events()
    done = event.step_materialization_data.materialization
    shard = finished.materializations["evaluation_metrics"]
    assert value(done, "shards") == 1
    assert (
        value(done, "miou")
        == value(shard, "miou")
        == pytest.approx(report["scores"]["sam_seem"]["miou"], abs=1e-4)
    )
    assert value(done, "seem_miou") == pytest.approx(report["scores"]["seem"]["miou"], abs=1e-4)


def test_metrics_with_and_without_masks_stand_side_by_side(finished: FinishedRun) -> None:
    done = finished.materializations["evaluation_metrics"]
    lines = value(done, "methods").splitlines()
    assert lines[0] == "| labels | mIoU | fwIoU | mAcc | aAcc | boundary IoU | boundary F |"
    methods = [line.split(" | ")[0] for line in lines[2:]]
    assert methods == ["| SAM + SEEM", "| SEEM alone", "| SSA"]
    assert f" {value(done, 'seem_aacc'):.3f} |" in lines[3]
    assert f" {value(done, 'ssa_aacc'):.3f} |" in lines[4]
    heads = value(done, "per_class").splitlines()[0]
    assert heads.startswith("| class | IoU SAM + SEEM | IoU SEEM alone | IoU SSA |")


def test_images_that_were_not_compared_are_told(finished: FinishedRun) -> None:
    done = finished.materializations["evaluation_metrics"]
    assert value(done, "images_without_prediction") == 2
    rows = value(done, "not_compared").splitlines()[2:]
    assert rows == [f"| no prediction | 2 | {SHARD}: picture_cut; {SHARD}: picture_not |"]


def test_metrics_can_be_had_in_other_classes(copied: Path, run_job: RunJob) -> None:
    config = {"ops": {"evaluation_metrics": {"config": {"classes": "base28"}}}}
    done = FinishedRun(run_job("score_shards", copied, run_config=config), copied)
    assert value(done.materializations["evaluation_metrics"], "classes") == "base28"
    table = value(done.materializations["evaluation_metrics"], "per_class")
    assert "| streetlight |" in table  # which merged19 has not


@pytest.mark.parametrize(
    ("asset", "classes", "source"),
    [
        ("seem_labels", "base28", "coco133"),
        ("region_labels", "base28", "coco133"),
        ("semantic_maps", "base28", None),
        ("merged_maps", "merged19", None),
        ("ssa_maps", "coco133", None),
        ("evaluation_metrics", "merged19", None),
    ],
)
def test_the_metadata_says_which_classes_the_ids_belong_to(
    finished: FinishedRun, asset: str, classes: str, source: str | None
) -> None:
    done = finished.materializations[asset]
    assert value(done, "classes") == classes
    assert source is None or value(done, "source_classes") == source


def test_a_second_run_reuses_every_image_and_tries_the_failed_ones_again(
    finished: FinishedRun, run_job: RunJob
) -> None:
    again = FinishedRun(
        run_job("label_shards", finished.root, run_config=EVERYTHING_CONFIG), finished.root
    )
    for asset, done in again.materializations.items():
        assert value(done, "images_reused") == (0 if asset == "raw_images" else 3), asset
        before = finished.materializations[asset].tags or {}
        assert (done.tags or {})["dagster/data_version"] == before["dagster/data_version"]


def test_a_shard_without_a_readable_image_stops_at_its_check(
    tmp_path: Path, run_job: RunJob
) -> None:
    write_pictures(tmp_path / "pictures", 2)
    for picture in (tmp_path / "pictures" / "images").iterdir():
        picture.write_text("no picture")
    register(tmp_path)
    run = FinishedRun(run_job("label_shards", tmp_path), tmp_path)
    assert not run.result.success
    assert set(run.materializations) == {"raw_images"}
    assert value(run.materializations["raw_images"], "images_failed") == 2
    assert not run.checks["shard_has_images"].passed
    assert run.store.shards("sam_masks") == []
    assert run.result.get_failed_step_keys() == {"raw_images_shard_has_images"}
