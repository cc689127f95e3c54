import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.optim import SGD, Optimizer

from seg_assets.errors import InputError, StoreError, TrainingError
from seg_assets.modeling.weights_file import sha256_of
from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.run_folder import RunFolder
from seg_assets_tests.training.line import (
    LineParams,
    LineTask,
    equal_states,
    line_config,
    state_of,
)


class Judged(LineTask):
    """Its evaluations give what they are told, one after the other."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def evaluate(self) -> dict[str, float]:
        return {"accuracy": self.values.pop(0)}


def rows(run_dir: Path, kind: str) -> list[dict[str, Any]]:
    text = (run_dir / "metrics.jsonl").read_text()
    return [row for line in text.splitlines() if (row := json.loads(line))["kind"] == kind]


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_learns(tmp_path: Path) -> None:
    config = line_config(steps=200, schedule="constant", evaluate_at_start=True)
    result = train(LineTask(), config, tmp_path)
    start, end = (row["metrics"]["error"] for row in rows(tmp_path, "evaluate"))
    assert end < 0.6 * start  # measured: 1.73 and 0.73
    assert result.metrics["error"] == end
    assert result.step == 200


def test_no_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="line has no training samples"):
        train(LineTask(LineParams(samples=0)), line_config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_s5_nothing_is_trained_with_a_wrong_optimizer(tmp_path: Path) -> None:
    class Late(LineTask):
        def optimizers(self, config: TrainConfig) -> list[Optimizer]:
            optimizers = super().optimizers(config)
            self.model.frozen.requires_grad_(True)  # after the optimizer was built
            return optimizers

    task = Late()
    before = state_of(task)
    with pytest.raises(TrainingError, match=r"does not train it: frozen\.0\.bias, frozen\.0\.weig"):
        train(task, line_config(), tmp_path)
    assert equal_states(before, state_of(task))


def test_only_what_is_listed_changes(tmp_path: Path) -> None:
    task = LineTask(LineParams(norm=True))
    before = state_of(task)
    train(task, line_config(), tmp_path)
    changed = {
        name for name, tensor in state_of(task).items() if not torch.equal(tensor, before[name])
    }
    statistics = {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    assert changed == task.trainable() | statistics


@pytest.mark.parametrize("ema", [None, 0.5])
def test_s18_micro_batches_equal_one_large_batch(tmp_path: Path, ema: float | None) -> None:
    # three unlabelled points: the micro-batches have different numbers of targets
    params = LineParams(unlabelled=3)
    whole, parts = LineTask(params), LineTask(params)
    train(whole, line_config(batch_size=6, ema=ema), tmp_path / "whole")
    train(parts, line_config(batch_size=2, accumulate=3, ema=ema), tmp_path / "parts")
    for name, tensor in state_of(parts).items():
        torch.testing.assert_close(tensor, state_of(whole)[name], rtol=0, atol=1e-5)
    for one, other in zip(
        rows(tmp_path / "whole", "train"), rows(tmp_path / "parts", "train"), strict=True
    ):
        assert one["terms"] == pytest.approx(other["terms"], abs=1e-5)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], abs=1e-4)


def test_the_first_step_is_the_mean_gradient_by_hand(tmp_path: Path) -> None:
    class Plain(LineTask):
        def optimizers(self, config: TrainConfig) -> list[Optimizer]:
            return [SGD([p for p in self.model.parameters() if p.requires_grad], lr=config.lr)]

    task, twin = Plain(LineParams(noise=0.0)), Plain(LineParams(noise=0.0))
    config = line_config(steps=1, batch_size=2, accumulate=4, schedule="constant", clip_norm=None)
    train(task, config, tmp_path)
    twin.train()
    batch = twin.collate([(x, y) for x, y in zip(twin.x, twin.y, strict=True)])  # all eight points
    sum(twin(batch, twin.counts(batch)).values(), torch.zeros(())).backward()
    for name, parameter in twin.model.named_parameters():
        expected = parameter if parameter.grad is None else parameter - config.lr * parameter.grad
        torch.testing.assert_close(state_of(task)[name], expected.detach(), rtol=0, atol=1e-6)


def test_s17_decay_and_rates_of_the_groups(tmp_path: Path) -> None:
    seen: list[Optimizer] = []

    class Watched(LineTask):
        def optimizers(self, config: TrainConfig) -> list[Optimizer]:
            seen.extend(super().optimizers(config))
            return seen

    train(Watched(), line_config(schedule="constant"), tmp_path)
    groups = seen[0].param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.005, 0.05])
    assert [group["weight_decay"] for group in groups] == [0.05, 0.0]


def test_s29_best_is_a_strict_increase(tmp_path: Path) -> None:
    task = Judged([0.2, 0.5, 0.5, 0.4])
    states: list[dict[str, Tensor]] = []
    task.register_forward_pre_hook(lambda *_: states.append(state_of(task)))
    config = line_config(steps=8, evaluate_every=2, max_skipped=0)
    result = train(task, config, tmp_path)
    assert (result.best, result.best_step) == (0.5, 4)
    best = read(tmp_path / "best.json")
    assert (best["step"], best["metrics"]) == (4, {"accuracy": 0.5})
    after_step_4 = {name: states[4][name] for name in load_file(tmp_path / "best.safetensors")}
    assert equal_states(load_file(tmp_path / "best.safetensors"), after_step_4)


def test_s29_checkpoints_describe_themselves(tmp_path: Path) -> None:
    task = LineTask()
    train(task, line_config(), tmp_path)
    for name in ("best", "last"):
        said = read(tmp_path / f"{name}.json")
        assert said["task"] == "line"
        assert said["description"]["parameters"]["noise"] == 0.1
        assert said["config"]["lr"] == 0.05
        assert said["step"] == 12
        assert set(said["metrics"]) == {"accuracy", "error"}
        assert said["sha256"] == sha256_of(tmp_path / f"{name}.safetensors")
        assert said["seg_assets"]
    fresh = LineTask()
    missing, unknown = fresh.model.load_state_dict(
        load_file(tmp_path / "last.safetensors"), strict=False
    )
    assert all(name.startswith("frozen") for name in missing)
    assert not unknown
    with torch.no_grad():
        assert fresh.eval().evaluate() == task.eval().evaluate()


def test_only_the_task_s_weights_are_in_the_checkpoint(tmp_path: Path) -> None:
    task = LineTask()
    train(task, line_config(), tmp_path)
    assert load_file(tmp_path / "best.safetensors").keys() == task.weights().keys()


def test_a_metric_that_the_evaluation_does_not_give(tmp_path: Path) -> None:
    task = LineTask()
    task.metric = "miou"
    with pytest.raises(TrainingError, match="'miou', but its evaluation gives accuracy, error"):
        train(task, line_config(), tmp_path)


def test_without_held_out_data_nothing_is_best(tmp_path: Path) -> None:
    class Blind(LineTask):
        def evaluate(self) -> dict[str, float]:
            return {}

    assert train(Blind(), line_config(), tmp_path).best is None
    assert not (tmp_path / "best.safetensors").exists()
    assert (tmp_path / "last.safetensors").exists()


def test_a_metric_that_is_no_number_is_never_best(tmp_path: Path) -> None:
    values = [float("nan"), 0.3, float("nan"), 0.2]
    result = train(Judged(values.copy()), line_config(steps=8, evaluate_every=2), tmp_path)
    assert (result.best, result.best_step) == (0.3, 4)
    measured = [row["metrics"]["accuracy"] for row in rows(tmp_path, "evaluate")]
    assert measured == [None, 0.3, None, 0.2]
    never = train(Judged([float("nan")]), line_config(steps=1), tmp_path / "never")
    assert never.best is None
    assert not (tmp_path / "never" / "best.safetensors").exists()


def test_s31_the_first_steps_and_then_every_nth_have_a_row(tmp_path: Path) -> None:
    train(LineTask(), line_config(steps=25, first_logged=3, log_every=10), tmp_path)
    logged = rows(tmp_path, "train")
    assert [row["step"] for row in logged] == [1, 2, 3, 10, 20, 25]
    for row in logged:
        assert row["loss"] == pytest.approx(sum(row["terms"].values()))
        assert row["epoch"] == row["step"] * 4 / 8
        assert row["images_per_second"] > 0
        assert row["peak_memory_mib"] > 10
        assert row["grad_norm"] > 0
    assert [row["seconds"] for row in logged] == sorted(row["seconds"] for row in logged)
    assert logged[-1]["lr"] == pytest.approx(0.05 * 0.01)


def test_s31_ten_steps_and_every_hundredth_by_default() -> None:
    config = TrainConfig(steps=1)
    assert (config.first_logged, config.log_every) == (10, 100)


def test_s31_no_tracker_is_imported_unasked(tmp_path: Path) -> None:
    before = set(sys.modules)
    train(LineTask(), line_config(), tmp_path)
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    assert not new & {"wandb", "tensorboard"}


@pytest.mark.parametrize("at_start", [True, False])
def test_s32_a_row_at_step_0_when_it_is_asked_for(tmp_path: Path, at_start: bool) -> None:
    config = line_config(evaluate_every=5, evaluate_at_start=at_start)
    train(LineTask(), config, tmp_path)
    steps = [row["step"] for row in rows(tmp_path, "evaluate")]
    assert steps == ([0] if at_start else []) + [5, 10, 12]


def test_evaluation_is_in_eval_mode_and_without_gradients(tmp_path: Path) -> None:
    modes: list[tuple[bool, bool, bool]] = []

    class Watched(LineTask):
        def evaluate(self) -> dict[str, float]:
            modes.append((self.training, self.model.head[0].training, torch.is_grad_enabled()))
            return super().evaluate()

        def forward(self, batch: Any, counts: Mapping[str, float]) -> dict[str, Tensor]:
            assert self.model.head[0].training
            assert not self.model.frozen[1].training  # S11
            return super().forward(batch, counts)

    train(Watched(), line_config(evaluate_every=4, evaluate_at_start=True), tmp_path)
    assert modes == [(False, False, False)] * 4


def test_evaluating_more_often_does_not_change_the_weights(tmp_path: Path) -> None:
    class Random(LineTask):
        def evaluate(self) -> dict[str, float]:
            return {"accuracy": torch.rand(1).item()}  # uses up the global generator

    seldom, often = (Random(LineParams(dropout=0.5)) for _ in range(2))
    train(seldom, line_config(), tmp_path / "seldom")
    train(often, line_config(evaluate_every=1, evaluate_at_start=True), tmp_path / "often")
    assert equal_states(state_of(seldom), state_of(often))
    values = {row["metrics"]["accuracy"] for row in rows(tmp_path / "often", "evaluate")}
    assert len(values) == 1  # each evaluation has the same chance


def test_the_callers_generator_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    train(LineTask(LineParams(dropout=0.5)), line_config(), tmp_path)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_do_not_change_the_weights(tmp_path: Path) -> None:
    alone, helped = (LineTask(LineParams(dropout=0.5)) for _ in range(2))
    train(alone, line_config(), tmp_path / "alone")
    train(helped, line_config(workers=2), tmp_path / "helped")
    assert equal_states(state_of(alone), state_of(helped))


def test_the_network_s_chance_differs_between_steps_and_micro_batches(tmp_path: Path) -> None:
    draws: list[float] = []
    task = LineTask()
    task.register_forward_pre_hook(lambda *_: draws.append(torch.rand(1).item()))
    train(task, line_config(steps=3, accumulate=2, batch_size=2), tmp_path)
    assert len(draws) == len(set(draws)) == 6


def test_the_task_knows_which_share_of_the_run_is_done(tmp_path: Path) -> None:
    seen: list[float] = []
    for steps in (2, 4):  # the second run goes on with the first
        task = LineTask()
        task.register_forward_pre_hook(lambda module, _: seen.append(module.progress))
        train(task, line_config(steps=steps, schedule="constant"), tmp_path)
    assert seen == [0, 0.5, 0.5, 0.75]


def test_the_mean_of_the_weights_is_what_is_evaluated_and_saved(tmp_path: Path) -> None:
    states: list[Tensor] = []
    evaluated: list[Tensor] = []

    class Watched(LineTask):
        def evaluate(self) -> dict[str, float]:
            evaluated.append(self.model.head[1].bias.detach().clone())
            return super().evaluate()

    task = Watched()
    task.register_forward_pre_hook(
        lambda *_: states.append(task.model.head[1].bias.detach().clone())
    )
    train(task, line_config(steps=4, ema=0.15), tmp_path)
    mean = states[0]
    for step, weights in enumerate([*states[1:], task.model.head[1].bias.detach()]):
        decay = min(0.15, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * weights
    torch.testing.assert_close(evaluated[-1], mean, rtol=0, atol=1e-6)
    saved = load_file(tmp_path / "last.safetensors")["head.1.bias"]
    assert torch.equal(saved, evaluated[-1])
    full = load_file(tmp_path / "last" / "state.safetensors")
    assert torch.equal(full["model/head.1.bias"], task.model.head[1].bias.detach())
    assert torch.equal(full["mean/head.1.bias"], saved)


def test_a_task_may_bring_several_optimizers(tmp_path: Path) -> None:
    class Two(LineTask):
        def optimizers(self, config: TrainConfig) -> list[Optimizer]:
            head = {"params": [*self.model.head.parameters()], "lr_scale": 2.0}
            return [
                SGD([head], lr=config.lr, momentum=0.9),
                torch.optim.AdamW(self.model.rare.parameters(), lr=config.lr),
            ]

    task = Two()
    before = state_of(task)
    train(task, line_config(), tmp_path)
    changed = {n for n, tensor in state_of(task).items() if not torch.equal(tensor, before[n])}
    assert changed == task.trainable()


def test_a_run_may_be_refused_to_go_on(tmp_path: Path) -> None:
    train(LineTask(), line_config(), tmp_path)
    with pytest.raises(InputError, match="holds a run already"):
        train(LineTask(), line_config(), tmp_path, resume=False)


def test_two_trainings_cannot_share_a_folder(tmp_path: Path) -> None:
    with RunFolder(tmp_path).hold(), pytest.raises(StoreError, match="by another process"):
        train(LineTask(), line_config(), tmp_path)


def test_rows_go_to_trackers_too(tmp_path: Path) -> None:
    class Listener:
        def __init__(self) -> None:
            self.rows: list[Mapping[str, Any]] = []

        def log(self, row: Mapping[str, Any]) -> None:
            self.rows.append(row)

        def close(self) -> None: ...

    listener = Listener()
    train(LineTask(), line_config(steps=3), tmp_path, trackers=[listener])
    assert [(row["kind"], row["step"]) for row in listener.rows] == [
        ("train", 1),
        ("train", 2),
        ("train", 3),
        ("evaluate", 3),
    ]
