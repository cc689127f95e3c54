from pathlib import Path

import pytest

from seg_assets.errors import InputError, StoreError
from seg_assets.training.loop import train
from seg_assets.training.record import read_run
from seg_assets.training.run_folder import RunFolder
from seg_assets.training.set_aside import set_aside
from seg_assets_tests.training.line import LineTask, line_config


def test_a_run_is_renamed_and_nothing_is_lost(tmp_path: Path) -> None:
    assert set_aside(tmp_path / "run") is None
    for number in (1, 2):
        train(LineTask(), line_config(), tmp_path / "run")
        before = sorted(path.name for path in (tmp_path / "run").iterdir())
        old = set_aside(tmp_path / "run")
        assert old == tmp_path / f"run.old-{number}"
        assert sorted(path.name for path in old.iterdir()) == before
        assert not (tmp_path / "run").exists()


def test_a_run_that_is_being_trained_stays(tmp_path: Path) -> None:
    train(LineTask(), line_config(), tmp_path / "run")
    with (
        RunFolder(tmp_path / "run").hold(),
        pytest.raises(StoreError, match="is being written by another process"),
    ):
        set_aside(tmp_path / "run")
    assert (tmp_path / "run" / "config.json").is_file()


def test_a_folder_of_something_else_stays(tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").write_bytes(b"somebody's weights")
    with pytest.raises(InputError, match="is not the folder of a run"):
        set_aside(tmp_path)


def test_a_record_says_how_the_run_went(tmp_path: Path) -> None:
    config = line_config(evaluate_at_start=True, first_logged=100)
    result = train(LineTask(), config, tmp_path)
    run = read_run(tmp_path)
    assert (run.step, run.steps, run.metric) == (result.step, result.step, "accuracy")
    assert run.latest == result.metrics
    assert run.best is not None
    assert run.best["metrics"]["accuracy"] == result.best
    assert run.at_start is not None
    assert run.at_start["accuracy"] <= result.best
    assert 0 < run.seconds <= result.seconds + 1
    assert run.images_per_second is not None
    trained = [p for p in LineTask().model.parameters() if p.requires_grad]
    assert run.config["trained"] == {
        "tensors": len(trained),
        "parameters": sum(p.numel() for p in trained),
    }


def test_what_is_no_run_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder of a training run"):
        read_run(tmp_path)
