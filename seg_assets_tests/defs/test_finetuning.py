"""finetuned_sam and finetuned_seem with tiny nets, in their own processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from seg_assets.defs.resources import DevicesResource, ModelsResource, StoreResource
from seg_assets.labels.tables import stored_classes
from seg_assets.modeling.manifest import entry
from seg_assets.storage.store import Store
from seg_assets.training.run_folder import RunFolder
from seg_assets_tests.defs.conftest import EVERYTHING_CONFIG, SHARD, register, tiny_environment
from seg_assets_tests.stages.conftest import write_pictures
from seg_assets_tests.training.small_data import SEEM_PARAMS, write_panoptic

# a constant rate, so that a run can be made longer
LOOP = {"steps": 3, "batch_size": 1, "lr": 1e-3, "schedule": "constant", "save_every": 1}
# trains on the data set that lies where the asset training_dataset writes
SEEM = {
    "name": "my_seem",
    "training": LOOP,
    "params": {**SEEM_PARAMS, "base": "seem_demo", "strategy": "adapter_head"},
}
SAM = {
    "name": "my_sam",
    "task": "sam_box",
    "training": LOOP,
    "params": {
        "base": "sam_tiny",
        "objects_per_image": 2,
        "eval_objects": 2,
        "train": {"format": "scenes", "path": "1000000:1000004", "options": {"size": 96}},
        "held_out": {"format": "scenes", "path": "0:1", "options": {"size": 96}},
    },
}


@dataclass
class Workplace:
    """A store, models of a user, and the definitions."""

    root: Path
    definitions: dg.Definitions
    patch: pytest.MonkeyPatch

    def run(
        self, job: str, config: dict[str, Any] | None = None, **names: str
    ) -> dg.ExecuteInProcessResult:
        asset = {"finetune_sam": "finetuned_sam", "finetune_seem": "finetuned_seem"}.get(job)
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("shards", [SHARD])
            return self.definitions.resolve_job_def(job).execute_in_process(
                instance=instance,
                raise_on_error=False,
                tags={} if asset else {"dagster/partition": SHARD},
                run_config={"ops": {asset: {"config": config}}} if asset else config,
                resources={
                    "store": StoreResource(root=str(self.root / "store")),
                    "models": ModelsResource(**{"sam": "sam_tiny", "seem": "seem_demo", **names}),
                    "devices": DevicesResource(devices="cpu"),
                },
            )

    def failure(self, job: str, config: dict[str, Any]) -> str:
        """The sentence that a run ends with."""
        result = self.run(job, config)
        assert not result.success
        failures = [event for event in result.all_events if event.is_step_failure]
        assert len(failures) == 1
        return str(failures[0].step_failure_data.error_display_string)


@pytest.fixture(scope="module")
def workplace(
    tmp_path_factory: pytest.TempPathFactory, definitions: dg.Definitions
) -> Iterator[Workplace]:
    root = tmp_path_factory.mktemp("finetuning")
    write_pictures(root / "pictures", 1)
    register(root)
    write_panoptic(root / "store" / "training_dataset")
    with tiny_environment(root) as patch:
        yield Workplace(root, definitions, patch)


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return {key: value.value for key, value in event.materialization.metadata.items()}


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


@pytest.fixture(scope="module")
def trained_seem(workplace: Workplace) -> dg.ExecuteInProcessResult:
    return workplace.run("finetune_seem", SEEM)


def test_a_finetuned_seem_is_an_asset_with_hash_config_classes_and_metrics(
    workplace: Workplace, trained_seem: dg.ExecuteInProcessResult
) -> None:
    assert trained_seem.success
    found = metadata_of(trained_seem)
    assert (found["name"], found["steps"], found["strategy"]) == ("my_seem", 3, "adapter_head")
    assert found["weights_sha256"] == entry("my_seem").sha256
    assert found["classes"] == "panoptic"
    assert "| 2 | car | thing |" in found["class_table"]
    assert found["training_samples"] == 3
    assert found["trained_tensors"] > 0
    assert found["training"]["lr"] == 1e-3
    assert found["parameters"]["image_size"] == 64
    assert found["images_per_second"] > 0
    assert "mIoU" in found
    assert found["metrics"].startswith("| metric | start | best | last |")
    assert "| sky | 0." in found["iou_per_class"]
    assert not [key for key in found if key.startswith("IoU-")]
    assert found["curves"].startswith("![preview](data:image/png;base64,")
    assert len(found["curves"]) < 200_000
    assert Path(found["run_folder"]) == workplace.root / "store" / "training_runs" / "my_seem"
    (event,) = trained_seem.get_asset_materialization_events()
    tags = event.materialization.tags or {}
    assert tags["dagster/data_version"] == entry("my_seem").sha256


def test_the_label_assets_use_it_by_name(
    workplace: Workplace, trained_seem: dg.ExecuteInProcessResult
) -> None:
    assert trained_seem.success
    # the pictures' truth is in other classes, so they are labelled and not scored
    assert workplace.run("mask_shards", EVERYTHING_CONFIG).success
    assert workplace.run("name_shards", seem="my_seem").success
    store = Store(workplace.root / "store")
    labels = store.open_shard("region_labels", SHARD)
    assert labels.manifest.provenance["model"] == "my_seem"
    assert str(entry("my_seem").sha256) in labels.manifest.provenance["checkpoint"]
    maps = store.open_shard("merged_maps", SHARD)
    assert maps.image_ids == ["picture_000"]
    assert stored_classes(maps).names == ("building", "sky", "car", "road")


def test_the_check_compares_the_best_with_the_start(
    trained_seem: dg.ExecuteInProcessResult,
) -> None:
    check = checks_of(trained_seem)["seem_is_better_than_at_start"]
    assert check.severity == dg.AssetCheckSeverity.WARN
    told = {key: value.value for key, value in check.metadata.items()}
    assert told["metric"] == "mIoU"
    assert check.passed == (told["best"] > told["at_start"])


def test_materialising_again_goes_on_with_the_run(
    workplace: Workplace, trained_seem: dg.ExecuteInProcessResult
) -> None:
    folder = workplace.root / "store" / "training_runs" / "my_seem"
    longer = {**SEEM, "training": {**LOOP, "steps": 4}}
    found = metadata_of(workplace.run("finetune_seem", longer))
    assert found["steps"] == 4
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "train"] == [1, 2, 3, 4]


def test_a_finetuned_sam_finds_masks_by_name(workplace: Workplace) -> None:
    result = workplace.run("finetune_sam", SAM)
    assert result.success
    found = metadata_of(result)
    assert (found["name"], found["strategy"], found["base"]) == ("my_sam", "sam_box", "sam_tiny")
    assert "miou" in found
    assert "classes" not in found
    masks = workplace.run("mask_shards", EVERYTHING_CONFIG, sam="my_sam")
    assert masks.success
    stored = Store(workplace.root / "store").open_shard("sam_masks", SHARD)
    assert stored.manifest.provenance["checkpoint"] == entry("my_sam").sha256


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "sam_vit_h"}, "a model that comes with the project is called 'sam_vit_h'"),
        ({"name": "no name"}, "'no name' is no name for a model"),
        ({"params": {"train": {"kind": "tapes"}}}, "parameters, train: input tag 'tapes'"),
        ({"training": {"lr": -1.0}}, "training, lr: input should be greater than 0"),
        ({"processes": 2}, "2 processes need as many CUDA devices or CPU slots"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_starts(
    workplace: Workplace, changes: dict[str, Any], sentence: str
) -> None:
    failed = workplace.failure("finetune_seem", {**SEEM, "name": "never", **changes})
    assert sentence in failed
    assert "Stack Trace" not in failed
    assert not (workplace.root / "store" / "training_runs" / "never").exists()


def test_without_data_the_asset_that_makes_it_is_named(workplace: Workplace) -> None:
    folder = workplace.root / "store" / "training_dataset"
    folder.rename(folder.with_name("elsewhere"))
    try:
        failed = workplace.failure("finetune_seem", SEEM)
    finally:
        folder.with_name("elsewhere").rename(folder)
    assert "there is no training data set at" in failed
    assert "materialise training_dataset, or give params.train" in failed


def test_a_failed_training_ends_with_its_own_sentence(workplace: Workplace) -> None:
    params = {**SEEM["params"], "base": "seem_of_nobody"}
    failed = workplace.failure("finetune_seem", {**SEEM, "name": "never", "params": params})
    assert failed.startswith("no model is called 'seem_of_nobody'; choose one of: ")
    assert "Stack Trace" not in failed


def test_an_interrupted_asset_stops_its_training(workplace: Workplace) -> None:
    config = {**SAM, "name": "endless", "training": {**LOOP, "steps": 10**6, "log_every": 1}}
    (workplace.root / "home").mkdir()
    (workplace.root / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}")
    run_config = workplace.root / "endless.yaml"
    run_config.write_text(json.dumps({"ops": {"finetuned_sam": {"config": config}}}))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(workplace.root / "home"),
        "SEG_DATA_DIR": str(workplace.root / "store"),
        "SEG_DEVICES": "cpu",
        "TMPDIR": str(workplace.root),
        "PYTHONWARNINGS": "ignore",
    }
    dagster = [sys.executable, "-m", "dagster"]  # no PATH need lead to it
    command = [*dagster, "job", "execute", "-m", "seg_assets.definitions", "-j", "finetune_sam"]
    run_dir = workplace.root / "store" / "training_runs" / "endless"
    rows = run_dir / "metrics.jsonl"
    output = workplace.root / "output.txt"
    with (
        output.open("w") as file,
        subprocess.Popen(
            [*command, "-c", str(run_config)], env=environment, stdout=file, stderr=file
        ) as program,
    ):
        try:
            while not rows.is_file() and program.poll() is None:
                time.sleep(0.1)
            program.send_signal(signal.SIGINT)
            program.wait(timeout=300)
        finally:
            program.kill()  # of no effect where it has ended
    assert program.returncode != 0
    assert rows.is_file(), output.read_text()
    with RunFolder(run_dir).hold():
        pass  # nobody trains there any more
    # what Dagster copies from this file to its own output may lack the end
    (captured,) = (workplace.root / "home" / "storage").rglob("*.err")
    assert "the training was stopped: start it again to go on" in captured.read_text()
