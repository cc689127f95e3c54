"""S31: trackers are optional, imported only when asked for, and need no network when off."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from seg_assets.errors import InputError
from seg_assets.training.loop import train
from seg_assets_tests.training.line import LineTask, line_config


class FakeWandb(ModuleType):
    """Stands in for the package and remembers what it was asked to do."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.started: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.finished = 0

    def init(self, **settings: Any) -> SimpleNamespace:
        self.started.append(settings)
        return SimpleNamespace(
            log=lambda numbers, step: self.logged.append((step, numbers)), finish=self._finish
        )

    def _finish(self) -> None:
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return fake


def test_wandb_gets_the_rows_offline_without_a_key(
    wandb: FakeWandb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    train(LineTask(), line_config(steps=2, trackers=("wandb",)), tmp_path / "first")
    (settings,) = wandb.started
    assert settings["name"] == "first"
    assert settings["project"] == "seg_assets"
    assert settings["config"]["config"]["lr"] == 0.05
    assert [step for step, _ in wandb.logged] == [1, 2, 2]
    assert {"train/loss", "train/terms/square", "train/lr"} <= wandb.logged[0][1].keys()
    assert wandb.logged[2][1].keys() >= {"evaluate/metrics/accuracy"}
    assert wandb.finished == 1


def test_a_continued_run_goes_on_in_the_same_curve(
    wandb: FakeWandb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "from the environment")
    config = line_config(steps=2, schedule="constant", trackers=("wandb",))
    train(LineTask(), config, tmp_path)
    train(LineTask(), config.model_copy(update={"steps": 3}), tmp_path)
    first, second = wandb.started
    assert first["id"] == second["id"]
    assert second["resume"] == "allow"
    assert "from the environment" not in str(wandb.started)


def test_wandb_online_needs_a_key(wandb: FakeWandb, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="set WANDB_API_KEY, or WANDB_MODE=offline"):
        train(LineTask(), line_config(trackers=("wandb",)), tmp_path)
    assert wandb.started == []


@pytest.mark.parametrize(
    ("name", "module"), [("wandb", "wandb"), ("tensorboard", "torch.utils.tensorboard")]
)
def test_a_tracker_that_is_not_installed_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, module: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setitem(sys.modules, module, None)  # importing it now fails
    with pytest.raises(InputError, match=rf"pip install 'seg_assets\[{name}\]'"):
        train(LineTask(), line_config(trackers=(name,)), tmp_path)


def test_an_error_still_ends_the_run_there(
    wandb: FakeWandb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Failing(LineTask):
        def evaluate(self) -> dict[str, float]:
            raise ValueError("no")

    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(ValueError, match="no"):
        train(Failing(), line_config(trackers=("wandb",)), tmp_path)
    assert wandb.finished == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tensorboard's own imports
def test_tensorboard_writes_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(LineTask(), line_config(steps=3, trackers=("tensorboard",)), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3]
    assert [event.step for event in events.Scalars("evaluate/metrics/accuracy")] == [3]
