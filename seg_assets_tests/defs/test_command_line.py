"""The commands of the README, as a user types them: two frames of CamVid from photos to scores."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from seg_assets.storage.store import Store
from seg_assets_tests.conftest import REPOSITORY
from seg_assets_tests.stages.conftest import MANIFEST

INSTANCE = """\
telemetry: {enabled: false}
nux: {enabled: false}
python_logs: {managed_python_loggers: [seg_assets], python_log_level: INFO}
"""
CHAIN = (
    "raw_images,sam_masks,seem_logits,seem_labels,region_labels,semantic_maps,merged_maps,"
    "ssa_masks,ssa_maps,evaluation_metrics"
)
CONFIG = {
    "ops": {
        "sam_masks": {
            "config": {
                "points_per_side": 4,
                "pred_iou_thresh": 0.0,
                "stability_score_thresh": 0.0,
            }
        },
        "seem": {"config": {"short_side": 64}},
    }
}
MATERIALIZE = ["dagster", "asset", "materialize", "-m", "seg_assets.definitions"]


@pytest.fixture
def user(tmp_path: Path) -> Mapping[str, str]:
    """Environment of a user with a store, an instance and tiny models of their own."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text(INSTANCE)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "manifest.toml").write_text(MANIFEST)
    (tmp_path / "tmp").mkdir()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SEG_", "DAGSTER_"))}
    return {
        **inherited,
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(tmp_path / "tmp"),
        "DAGSTER_HOME": str(tmp_path / "home"),
        "SEG_DATA_DIR": str(tmp_path / "data"),
        "SEG_MODELS_DIR": str(tmp_path / "models"),
        "SEG_SAM_MODEL": "sam_tiny",
        "SEG_SEEM_MODEL": "seem_demo",
        "SEG_DEVICES": "cpu",
    }


def run(
    command: list[str], environment: Mapping[str, str], *, status: int = 0
) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run(
        [program, *command[1:]],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_camvid_from_photos_to_scores(
    user: Mapping[str, str], tmp_path: Path, shared_dir: Path
) -> None:
    camvid = str(shared_dir / "data" / "camvid")
    added = run(["seg-assets", "shards", "add", camvid, "--limit", "2", "--shard-size", "1"], user)
    first, second = "camvid_train_0000", "camvid_train_0001"
    assert "2 images in 2 shards, 2 of them new or changed" in added.stdout
    assert "Dagster knows them" in added.stdout

    config = json.dumps(CONFIG)
    run([*MATERIALIZE, "--select", CHAIN, "--partition", first, "--config-json", config], user)
    launch = ["dg", "launch", "--job", "label_shards", "--partition", second]
    run([*launch, "--config-json", config], user)
    run([*MATERIALIZE, "--select", "evaluation_report"], user)

    store = Store(tmp_path / "data")
    for asset in CHAIN.split(","):
        assert store.shards(asset) == [first, second], asset
        assert store.open_shard(asset, first).failed == {}
    (image_id,) = store.open_shard("sam_masks", first).image_ids
    assert len(store.open_shard("sam_masks", first).rows(image_id)) > 0
    report = json.loads((tmp_path / "data" / "evaluation_report" / "report.json").read_text())
    assert report["shards"] == [first, second]
    assert (report["images"], report["images_without_truth"], report["images_failed"]) == (2, 0, 0)
    assert set(report["scores"]) == {"sam_seem", "seem", "ssa"}
    assert all(0 <= scores["aacc"] <= 1 for scores in report["scores"].values())
    listed = run(["seg-assets", "shards", "list"], user).stdout.splitlines()
    assert [line.split("\t")[0] for line in listed] == [first, second]
    assert all("evaluation_metrics" in line for line in listed)

    with dg.DagsterInstance.from_config(user["DAGSTER_HOME"]) as instance:
        for asset in CHAIN.split(","):
            done = instance.get_materialized_partitions(dg.AssetKey(asset))
            assert done == {first, second}, asset
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}


@pytest.mark.slow
def test_a_mistake_on_the_command_line_is_its_sentence(
    user: Mapping[str, str], tmp_path: Path
) -> None:
    """Status 1, the sentence on a line of its own, and no stack."""
    with dg.DagsterInstance.from_config(user["DAGSTER_HOME"]) as instance:
        instance.add_dynamic_partitions("shards", ["city_0000"])
    command = [*MATERIALIZE, "--select", "raw_images", "--partition", "city_0000"]
    said = run(command, user, status=1).stderr
    assert (
        f"\nno shard city_0000 is registered in {tmp_path}/data: none is registered yet, add some "
        "with `seg-assets shards add`\n"
    ) in said
    assert "Traceback" not in said
    assert "Stack Trace" not in said
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_partition_that_dagster_does_not_know_is_named(user: Mapping[str, str]) -> None:
    command = [*MATERIALIZE, "--select", "raw_images", "--partition", "city_0000"]
    said = run(command, user, status=1).stderr
    assert "`city_0000`" in said.splitlines()[-1]
