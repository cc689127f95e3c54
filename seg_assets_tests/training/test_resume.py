"""S30, F17: a run that was killed ends with the bits of one that was not."""

import json
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from seg_assets.errors import InputError, StoreError, TrainingError
from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.result import TrainResult
from seg_assets_tests.training.killed_training import train_and_die
from seg_assets_tests.training.line import LineParams, LineTask, equal_states, line_config, state_of

# chance in the sample and in the network, statistics, micro-batches, a mean of the weights, epochs
# that end within a batch; saves at 5, 10 and 12, evaluations at 0, 4, 8 and 12
PARAMS = LineParams(samples=7, dropout=0.3, norm=True)
CONFIG = line_config(
    accumulate=2,
    ema=0.9,
    save_every=5,
    evaluate_every=4,
    evaluate_at_start=True,
    warmup_steps=3,
    schedule="cosine",
)


@dataclass(frozen=True)
class Whole:
    """The run that was never stopped."""

    folder: Path
    result: TrainResult
    task: LineTask


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole") / "run"
    task = LineTask(PARAMS)
    return Whole(folder, train(task, CONFIG, folder), task)


def copied(whole: Whole, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole.folder, tmp_path / "run"))


def changed(**changes: Any) -> TrainConfig:
    return CONFIG.model_validate({**CONFIG.model_dump(), **changes})


def timeless_rows(folder: Path) -> list[dict[str, Any]]:
    timed = {"seconds", "images_per_second", "peak_memory_mib"}
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in timed} for row in rows]


def assert_same_run(folder: Path, whole: Whole, task: LineTask, result: TrainResult) -> None:
    assert equal_states(state_of(task), state_of(whole.task))
    for name in ("best.safetensors", "last.safetensors", "last/state.safetensors"):
        assert equal_states(load_file(folder / name), load_file(whole.folder / name)), name
    for name in ("best.json", "last.json"):
        assert (folder / name).read_text() == (whole.folder / name).read_text()
    assert timeless_rows(folder) == timeless_rows(whole.folder)
    assert (result.step, result.best, result.best_step, result.metrics) == (
        whole.result.step,
        whole.result.best,
        whole.result.best_step,
        whole.result.metrics,
    )
    names = {path.name for path in folder.iterdir()}
    assert names == {path.name for path in whole.folder.iterdir()}  # nothing temporary is left


@pytest.mark.parametrize("step", [1, 3, 5, 6, 7, 11, 12])
def test_s30_killed_at_a_step(tmp_path: Path, whole: Whole, step: int) -> None:
    folder = tmp_path / "run"
    assert train_and_die(folder, PARAMS, CONFIG, "step", step) == -signal.SIGKILL
    task = LineTask(PARAMS)
    assert_same_run(folder, whole, task, train(task, CONFIG, folder))


def test_s30_killed_again_and_again(tmp_path: Path, whole: Whole) -> None:
    folder = tmp_path / "run"
    for step in (7, 4, 3):  # counted from where each session begins: 1, 6, 6
        assert train_and_die(folder, PARAMS, CONFIG, "step", step) == -signal.SIGKILL
    task = LineTask(PARAMS)
    assert_same_run(folder, whole, task, train(task, CONFIG, folder))


@pytest.mark.parametrize("what", ["disk", "fallback"])
def test_s30_killed_before_any_change_of_the_disk(tmp_path: Path, what: str) -> None:
    config = changed(steps=3, save_every=2, evaluate_every=None, evaluate_at_start=False)
    task = LineTask(PARAMS)
    whole = Whole(tmp_path / "whole", train(task, config, tmp_path / "whole"), task)
    changes = 0
    while True:
        folder = tmp_path / str(changes)
        status = train_and_die(folder, PARAMS, config, what, changes)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        task = LineTask(PARAMS)
        assert_same_run(folder, whole, task, train(task, config, folder))
        changes += 1
    # config.json; two saves of three files, an exchange and two removals; two files of the best
    assert changes >= 1 + 2 * 6 + 2


@pytest.mark.parametrize("count", range(5))
def test_s30_killed_while_tensors_are_written(tmp_path: Path, whole: Whole, count: int) -> None:
    folder = tmp_path / "run"
    assert train_and_die(folder, PARAMS, CONFIG, "write", count) == -signal.SIGKILL
    task = LineTask(PARAMS)
    assert_same_run(folder, whole, task, train(task, CONFIG, folder))


def test_a_finished_run_is_left_as_it_is(whole: Whole) -> None:
    before = {path: path.read_bytes() for path in whole.folder.rglob("*.safetensors")}
    task = LineTask(PARAMS)
    assert_same_run(whole.folder, whole, task, train(task, CONFIG, whole.folder))
    assert {path: path.read_bytes() for path in whole.folder.rglob("*.safetensors")} == before


def test_nothing_is_pickled(whole: Whole) -> None:
    assert {path.suffix for path in whole.folder.rglob("*") if path.is_file()} == {
        ".json",
        ".jsonl",
        ".safetensors",
    }


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_goes_on_exactly(tmp_path: Path, precision: str) -> None:
    config = line_config(precision=precision, save_every=5)
    straight, stopped = LineTask(PARAMS), LineTask(PARAMS)
    train(straight, config, tmp_path / "straight")
    assert train_and_die(tmp_path / "run", PARAMS, config, "step", 8) == -signal.SIGKILL
    train(stopped, config, tmp_path / "run")
    assert equal_states(state_of(straight), state_of(stopped))


def test_another_configuration_is_refused(whole: Whole, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.lr was 0\.05 and is 0\.1 now; give another"):
        train(LineTask(PARAMS), changed(lr=0.1), copied(whole, tmp_path))


def test_another_task_description_is_refused(whole: Whole, tmp_path: Path) -> None:
    other = LineParams(samples=7, dropout=0.4, norm=True)
    with pytest.raises(InputError, match=r"description\.parameters\.dropout was 0\.3 and is 0\.4"):
        train(LineTask(other), CONFIG, copied(whole, tmp_path))


def test_other_frozen_weights_are_refused(whole: Whole, tmp_path: Path) -> None:
    task = LineTask(PARAMS)
    task.model.frozen[0].weight.data.add_(1.0)
    with pytest.raises(InputError, match="frozen_sha256 was"):
        train(task, CONFIG, copied(whole, tmp_path))


def test_what_does_not_decide_the_weights_may_change(whole: Whole, tmp_path: Path) -> None:
    config = changed(log_every=1, save_every=3, evaluate_every=6, trackers=())
    folder = copied(whole, tmp_path)
    assert train(LineTask(PARAMS), config, folder).step == 12
    assert json.loads((folder / "config.json").read_text())["config"]["log_every"] == 1


def test_a_run_with_a_constant_rate_may_be_made_longer(tmp_path: Path) -> None:
    short = line_config(steps=6, schedule="constant")
    long = line_config(steps=12, schedule="constant")
    straight, extended = LineTask(PARAMS), LineTask(PARAMS)
    train(straight, long, tmp_path / "straight")
    train(LineTask(PARAMS), short, tmp_path / "run")
    assert train(extended, long, tmp_path / "run").step == 12
    assert equal_states(state_of(straight), state_of(extended))


def test_a_schedule_over_all_steps_cannot_be_made_longer(whole: Whole, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="steps was 12 and is 20 now"):
        train(LineTask(PARAMS), changed(steps=20), copied(whole, tmp_path))


def test_a_run_that_never_saved_is_begun_anew(tmp_path: Path, whole: Whole) -> None:
    folder = tmp_path / "run"
    train_and_die(folder, PARAMS, changed(lr=0.2), "step", 2)  # evaluated at 0, so there is a best
    assert (folder / "best.safetensors").exists()
    task = LineTask(PARAMS)
    assert_same_run(folder, whole, task, train(task, CONFIG, folder))


def test_weights_that_are_not_of_a_run_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"holds best\.safetensors but no config\.json"):
        train(LineTask(), line_config(), tmp_path)
    assert (tmp_path / "best.safetensors").read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
def test_a_damaged_state_is_an_error(whole: Whole, tmp_path: Path, name: str) -> None:
    folder = copied(whole, tmp_path)
    file = folder / "last" / name
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"last is damaged: start anew"):
        train(LineTask(PARAMS), CONFIG, folder)


def test_the_state_of_another_model_is_an_error(whole: Whole, tmp_path: Path) -> None:
    class Wider(LineTask):
        def __init__(self) -> None:
            super().__init__(PARAMS)
            self.model.register_buffer("more", self.x.clone())

    with pytest.raises(TrainingError, match=r"1 tensors differ \(model/more\)"):
        train(Wider(), CONFIG, copied(whole, tmp_path))
