import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from seg_assets.errors import InputError, TrainingError
from seg_assets.training.launch import Launch, TrainJob, command, main, prepared, run_job
from seg_assets.training.loop import train
from seg_assets_tests.training.line import LineParams, LineTask, line_config

LINE = "seg_assets_tests.training.line:build"


def line_job(run_dir: Path, params: dict[str, Any] | None = None, **changes: Any) -> TrainJob:
    return TrainJob(task=LINE, params=params or {}, config=line_config(**changes), run_dir=run_dir)


def test_s34_two_processes_equal_one_with_the_double_batch(tmp_path: Path) -> None:
    # different numbers of targets per process, a parameter that not every process needs,
    # micro-batches, epochs that end within a batch
    params = {"samples": 7, "unlabelled": 3}
    outcome = run_job(
        line_job(tmp_path / "two", params, batch_size=2, accumulate=2, save_every=5), processes=2
    )
    one = train(
        LineTask(LineParams(samples=7, unlabelled=3)),
        line_config(batch_size=4, accumulate=2, save_every=5),
        tmp_path / "one",
    )
    two_weights = load_file(tmp_path / "two" / "last.safetensors")
    for name, tensor in load_file(tmp_path / "one" / "last.safetensors").items():
        torch.testing.assert_close(two_weights[name], tensor, rtol=0, atol=1e-5)
    assert outcome.metrics == pytest.approx(one.metrics, abs=1e-5)
    rows = {
        name: [
            json.loads(line)
            for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        ]
        for name in ("one", "two")
    }
    # only rank 0 writes: no row is there twice
    assert [(row["kind"], row["step"]) for row in rows["two"]] == [
        (row["kind"], row["step"]) for row in rows["one"]
    ]
    for left, right in zip(rows["one"], rows["two"], strict=True):
        if left["kind"] == "train":
            assert right["terms"] == pytest.approx(left["terms"], abs=1e-4)
    assert json.loads((tmp_path / "two" / "config.json").read_text())["processes"] == 2


def test_an_error_of_the_child_is_raised_in_the_parent(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="^line has no training samples"):
        run_job(line_job(tmp_path / "run", {"samples": 0}))


def test_the_command(tmp_path: Path) -> None:
    module = ["-m", "seg_assets.training.launch", "job.json"]
    assert command(Path("job.json")) == [sys.executable, *module]
    assert command(Path("job.json"), 4)[1:5] == [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=4",
    ]
    with pytest.raises(InputError, match="0 processes"):
        command(Path("job.json"), 0)


def test_the_child_s_side(tmp_path: Path) -> None:
    with prepared(line_job(tmp_path / "run")) as launch:
        job_file, outcome_file = launch.command[-2:]
        assert main([job_file, outcome_file]) == 0
        result = launch.outcome()
    assert (result.step, result.run_dir) == (12, tmp_path / "run")
    assert not Path(job_file).exists()
    assert result.metrics == train(LineTask(), line_config(), tmp_path / "run").metrics


def test_wrong_usage_has_status_2_and_failed_work_1(tmp_path: Path) -> None:
    def status(job: TrainJob) -> tuple[int, str]:
        with prepared(job) as launch:
            code = main(launch.command[-2:])
            with pytest.raises((InputError, TrainingError)) as caught:
                launch.outcome(code)
        return code, type(caught.value).__name__

    unknown = line_job(tmp_path / "run").model_copy(update={"task": "nothing"})
    assert status(unknown) == (2, "InputError")
    assert status(line_job(tmp_path / "run", {"samples": 0})) == (1, "TrainingError")


def test_a_job_that_cannot_be_read_is_wrong_usage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main([]) == 2
    assert main([str(tmp_path / "nothing.json")]) == 2
    assert "cannot be read: No such file" in caplog.text
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"task": LINE, "run_dir": "run", "config": {"steps": -1}}))
    assert main([str(job)]) == 2
    assert "is wrong at config.steps" in caplog.text


def test_the_first_process_that_fails_speaks(tmp_path: Path) -> None:
    with prepared(line_job(tmp_path / "run", {"samples": 0})) as launch:
        launch.outcome_file.write_text(json.dumps({"error": "StoreError", "message": "was first"}))
        main(launch.command[-2:])
        assert "was first" in launch.outcome_file.read_text()


def test_a_killed_process_has_no_result(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="ended with status -9 without a result"):
        Launch([], tmp_path / "outcome.json").outcome(-9)


def test_the_folder_of_the_run_does_not_depend_on_where_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with prepared(line_job(Path("run"))) as launch:
        said = json.loads(Path(launch.command[-2]).read_text())
    assert said["run_dir"] == str(tmp_path / "run")


def test_rows_are_reported_through_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipes = pytest.importorskip("dagster_pipes")
    messages = tmp_path / "messages"
    messages.touch()
    context = {"run_id": "r", "job_name": "j", "retry_number": 0, "extras": {}}
    context |= {
        name: None
        for name in (
            "asset_keys",
            "code_version_by_asset_key",
            "provenance_by_asset_key",
            "partition_key",
            "partition_key_range",
            "partition_time_window",
        )
    }
    monkeypatch.setenv("DAGSTER_PIPES_CONTEXT", pipes.encode_param({"data": context}))
    monkeypatch.setenv("DAGSTER_PIPES_MESSAGES", pipes.encode_param({"path": str(messages)}))
    with prepared(line_job(tmp_path / "run", steps=2)) as launch:
        assert main(launch.command[-2:]) == 0
    said = [json.loads(line) for line in messages.read_text().splitlines()]
    custom = [m["params"]["payload"] for m in said if m["method"] == "report_custom_message"]
    assert [(row["kind"], row["step"]) for row in custom] == [
        ("train", 1),
        ("train", 2),
        ("evaluate", 2),
    ]
    logged = [m["params"]["message"] for m in said if m["method"] == "log"]
    assert logged[0].startswith('step 1: {"loss": ')


def test_the_parent_does_not_import_torch() -> None:
    import subprocess

    code = "import sys, seg_assets.training.launch as l, seg_assets.training.overrides\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_training_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from seg_assets.training.launch import run_job\n"
        "from seg_assets_tests.training.test_launch import line_job\n"
        f"run_job(line_job(Path({str(tmp_path / 'run')!r}), steps=10**7, log_every=10))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as parent:
        rows = tmp_path / "run" / "metrics.jsonl"
        while not rows.is_file() and parent.poll() is None:
            time.sleep(0.1)
        assert rows.is_file()
        parent.kill()
        # the training holds the pipe as well, so this returns when it has ended
        said = parent.stderr.read().decode() if parent.stderr else ""
    assert "the process that has started this training is gone" in said
    size = rows.stat().st_size
    time.sleep(0.3)
    assert rows.stat().st_size == size
