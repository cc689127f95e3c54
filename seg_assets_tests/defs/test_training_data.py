"""The assets of training data: run over a street with ground truth, checks that fail, mistakes."""

import base64
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from PIL import Image

from seg_assets.data.panoptic.panoptic_png import decode_panoptic, encode_panoptic
from seg_assets.data.panoptic.reader import open_panoptic
from seg_assets.defs.resources import StoreResource
from seg_assets.storage.png import decode_label_map, encode_label_map
from seg_assets.storage.store import Store
from seg_assets_tests.stages.training import FIRST, registered

STEPS = ("training_panoptic", "training_semantic", "training_grounding")
Rows = list[dict[str, Any]]


def materialize(
    definitions: dg.Definitions,
    root: Path,
    *assets: str,
    config: dict[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run assets with their checks; `config` by asset."""
    over_all = {"training_categories", "training_dataset"} & set(assets)
    job = dg.define_asset_job("some", selection=dg.AssetSelection.assets(*assets))
    loaded = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("shards", [FIRST])
        return loaded.resolve_job_def("some").execute_in_process(
            tags={} if over_all else {"dagster/partition": FIRST},
            instance=instance,
            raise_on_error=False,
            run_config={"ops": {name: {"config": c} for name, c in (config or {}).items()}},
            resources={"store": StoreResource(root=str(root / "store"))},
        )


def materializations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetMaterialization]:
    events = result.get_asset_materialization_events()
    found = [event.step_materialization_data.materialization for event in events]
    return {m.asset_key.to_user_string(): m for m in found}


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = result.get_step_failure_events()
    return event.step_failure_data.error.message


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, definitions: dg.Definitions
) -> tuple[Path, dict[str, dg.AssetMaterialization], dg.ExecuteInProcessResult]:
    root = tmp_path_factory.mktemp("training")
    registered(root, 2)
    first = materialize(definitions, root, "training_categories")
    second = materialize(definitions, root, *STEPS)
    share = {"training_dataset": {"validation_share": 0.5}}
    third = materialize(definitions, root, "training_dataset", config=share)
    assert first.success
    assert second.success
    assert third.success
    done = {**materializations(first), **materializations(second), **materializations(third)}
    return root, done, second


def test_the_data_set_is_there(finished) -> None:
    root, done, _ = finished
    folder = done["training_dataset"].metadata["path"].value
    assert folder == str(root / "store" / "training_dataset")
    assert [len(open_panoptic(folder, split)) for split in ("train", "validation")] == [1, 1]


def test_numbers_and_tables_are_shown(finished) -> None:
    _, done, _ = finished
    shown = {name: {k: v.value for k, v in m.metadata.items()} for name, m in done.items()}
    assert (shown["training_categories"]["categories"], shown["training_categories"]["things"]) == (
        19,
        8,
    )
    assert "| 13 | 14 | car | 0, 0, 142 | thing |" in shown["training_categories"]["table"]
    panoptic = shown["training_panoptic"]
    assert (panoptic["segments_per_image"], panoptic["crowds"], panoptic["images"]) == (5.0, 0, 2)
    assert "| car | 4 | " in panoptic["per_category"]
    assert shown["training_semantic"]["unlabelled_share"] == pytest.approx(32 / 3072, abs=1e-4)
    assert shown["training_grounding"]["segments_with_sentences_per_image"] == 5.0
    assert shown["training_grounding"]["sentences_per_image"] > 5
    dataset = shown["training_dataset"]
    assert (dataset["train_images"], dataset["validation_images"]) == (1, 1)
    assert (dataset["train_segments"], dataset["train_images_failed"]) == (5, 0)
    assert "| car | 2 | " in dataset["per_category"]
    for step in STEPS:
        assert shown[step]["images_reused"] == 0
        assert done[step].partition == FIRST
        assert (done[step].tags or {})["dagster/data_version"]


@pytest.mark.parametrize(
    ("asset", "key"),
    [*((step, "preview") for step in STEPS), ("training_semantic", "legend")],
)
def test_pictures_come_inline_and_small(finished, asset: str, key: str) -> None:
    _, done, _ = finished
    assert next(iter(done[asset].metadata)) == "preview"
    match = re.fullmatch(
        r"!\[preview\]\(data:image/jpeg;base64,([^)]+)\)", done[asset].metadata[key].value
    )
    assert match
    data = base64.b64decode(match[1], validate=True)
    assert len(data) <= 150_000
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture)
    assert min(picture.size) > 20
    assert pixels.std() > 10  # something is drawn


def test_checks_pass_on_good_data(finished) -> None:
    _, _, result = finished
    found = {
        check.check_name: (check.asset_key.to_user_string(), check.passed, check.severity.value)
        for check in result.get_asset_check_evaluations()
    }
    assert found == {
        "segments_match_maps": ("training_panoptic", True, "ERROR"),
        "training_ids_match_segments": ("training_semantic", True, "ERROR"),
        "pixels_are_labelled": ("training_semantic", True, "WARN"),
        "outlines_match_segments": ("training_grounding", True, "ERROR"),
    }


@pytest.fixture
def damaged(
    finished, tmp_path: Path, definitions: dg.Definitions
) -> Callable[[str, Callable[[Rows], Rows], str], dg.AssetCheckEvaluation]:
    """Rewrite the rows of each image of an asset, and evaluate one of its checks."""
    shutil.copytree(finished[0] / "store", tmp_path / "store")

    def evaluate(asset: str, change: Callable[[Rows], Rows], check: str) -> dg.AssetCheckEvaluation:
        store = Store(tmp_path / "store")
        with store.open_shard(asset, FIRST) as reader:
            provenance = reader.manifest.provenance
            rows = {image_id: change(found) for image_id, found in reader}
        with store.write_shard(asset, FIRST, list(rows), provenance, recompute=True) as writer:
            for image_id in writer.pending:
                writer.add(image_id, rows[image_id])
        key = dg.AssetCheckKey(dg.AssetKey(asset), check)
        job = dg.define_asset_job("check", selection=dg.AssetSelection.checks(key))
        loaded = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("shards", [FIRST])
            result = loaded.resolve_job_def("check").execute_in_process(
                tags={"dagster/partition": FIRST},
                instance=instance,
                raise_on_error=False,  # of a check that blocks
                resources={"store": StoreResource(root=str(tmp_path / "store"))},
            )
        (evaluation,) = result.get_asset_check_evaluations()
        return evaluation

    return evaluate


def repaint_panoptic(row: dict[str, Any]) -> dict[str, Any]:
    ids = decode_panoptic(row["panoptic"]["bytes"], "it").copy()
    ids[ids == ids[0, 0]] = 5
    return {**row, "panoptic": {**row["panoptic"], "bytes": encode_panoptic(ids)}}


def repaint_semantic(row: dict[str, Any]) -> dict[str, Any]:
    label_map = decode_label_map(row["label_map"]["bytes"]).copy()
    label_map[0, 0] = 3
    data = encode_label_map(label_map, np.zeros((256, 3), np.uint8))
    return {**row, "label_map": {**row["label_map"], "bytes": data}}


def relabel(**changes) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {
        **row,
        "segments": [{**row["segments"][0], **changes}, *row["segments"][1:]],
    }


@pytest.mark.parametrize(
    ("change", "faults", "first"),
    [
        (relabel(area=7), 2, "pixels but its area says 7"),  # S22
        (relabel(category_id=99), 2, "category 99, which is not in the category table"),
        (relabel(bbox=[0, 0, 1, 1]), 2, "fills the box"),
        (repaint_panoptic, 4, "segment 5 is in the map but not listed"),
    ],
)
def test_segments_that_do_not_match_fail(damaged, change, faults: int, first: str) -> None:
    found = damaged(
        "training_panoptic", lambda rows: [change(row) for row in rows], "segments_match_maps"
    )
    assert not found.passed
    assert found.metadata["faults"].value == faults
    assert found.metadata["first"].value.startswith("city/street_0: ")
    assert first in found.metadata["first"].value


def test_training_ids_that_do_not_match_fail(damaged) -> None:
    found = damaged(
        "training_semantic",
        lambda rows: [repaint_semantic(row) for row in rows],
        "training_ids_match_segments",
    )
    assert (found.passed, found.metadata["faults"].value) == (False, 2)
    assert found.metadata["first"].value == (
        "city/street_0: 1 pixels are not of their segment's category"
    )


@pytest.mark.parametrize(("unlabelled", "passed"), [(307, True), (308, False)])
def test_unlabelled_pixels_warn_above_a_tenth(damaged, unlabelled: int, passed: bool) -> None:
    """S25; an image has 3072 pixels."""
    found = damaged(
        "training_semantic",
        lambda rows: [{**row, "unlabelled": unlabelled} for row in rows],
        "pixels_are_labelled",
    )
    assert (found.passed, found.severity) == (passed, dg.AssetCheckSeverity.WARN)
    assert found.metadata["unlabelled_share"].value == pytest.approx(unlabelled / 3072, abs=1e-4)
    assert found.metadata["worst_image"].value == "city/street_0"


def test_outlines_that_do_not_match_fail(damaged) -> None:
    def shrink(rows: Rows) -> Rows:
        return [
            {**row, "polygons": [[value / 2 for value in polygon] for polygon in row["polygons"]]}
            for row in rows
        ]

    found = damaged("training_grounding", shrink, "outlines_match_segments")
    assert not found.passed
    assert found.metadata["faults"].value > 2
    silent = damaged("training_grounding", lambda rows: [], "outlines_match_segments")
    assert (silent.passed, silent.metadata["images_without_sentences"].value) == (True, 2)


def test_mistakes_end_with_one_sentence(tmp_path: Path, definitions: dg.Definitions) -> None:
    registered(tmp_path, 2)
    without = materialize(definitions, tmp_path, "training_panoptic")
    assert failure(without).startswith("there is no category table ")
    wrong = {"training_categories": {"things": ["boat"]}}
    boats = materialize(definitions, tmp_path, "training_categories", config=wrong)
    assert failure(boats).startswith("class table 'cityscapes19' has no class 'boat'; ")
    nothing = materialize(definitions, tmp_path, "training_dataset")
    assert failure(nothing).startswith("no shard has finished training data: ")
    share = {"training_dataset": {"validation_share": 2.0}}
    half = materialize(definitions, tmp_path, "training_dataset", config=share)
    assert "validation_share should be less than 1, not 2.0" in failure(half)
    for message in (failure(without), failure(boats), failure(nothing), failure(half)):
        assert message.count("\n") == 1
