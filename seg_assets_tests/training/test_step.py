import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seg_assets.errors import TrainingError
from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.step import mean_counts, seed_chance
from seg_assets_tests.training.line import (
    LineParams,
    LineTask,
    Points,
    equal_states,
    line_config,
    state_of,
)


class Spoilt(LineTask):
    """The loss or the gradient of some steps (counted from 0) is not finite."""

    def __init__(self, steps: set[int], *, value: float = math.nan, in_loss: bool) -> None:
        super().__init__()
        self.steps, self.value, self.in_loss = steps, value, in_loss
        self.done = -1

    def forward(self, batch: Points, counts: Mapping[str, float]) -> dict[str, Tensor]:
        terms = super().forward(batch, counts)
        self.done += 1
        if self.done in self.steps:
            if self.in_loss:
                terms["square"] = terms["square"] * self.value
            else:  # a finite loss whose gradient is not, as that of sqrt at 0
                terms["square"] = terms["square"] + (0 * terms["square"]).sqrt()
        return terms


class Detached(LineTask):
    """Nothing that is trained has part in the loss."""

    def forward(self, batch: Points, counts: Mapping[str, float]) -> dict[str, Tensor]:
        return {name: term.detach() for name, term in super().forward(batch, counts).items()}


class Moody(LineTask):
    """The terms depend on the batch."""

    def forward(self, batch: Points, counts: Mapping[str, float]) -> dict[str, Tensor]:
        terms = super().forward(batch, counts)
        return terms if batch.x[0, 0] > 0 else {"square": terms["square"]}


def test_counts_are_means_over_all_micro_batches() -> None:
    counts = [{"objects": 3.0, "texts": 0.0}, {"objects": 4.0, "texts": 0.0}]
    assert mean_counts(counts, 1, "toy") == {"objects": 3.5, "texts": 0.5}  # 0 in all becomes 1
    assert mean_counts(counts, 2, "toy") == {"objects": 1.75, "texts": 0.25}


def test_a_step_without_any_target_has_no_counts() -> None:
    assert mean_counts([{"objects": 0.0}, {"objects": 0.0}], 1, "toy") is None
    assert mean_counts([{}], 1, "toy") == {}  # a task that counts nothing always trains


def test_counts_must_have_the_same_names() -> None:
    with pytest.raises(TrainingError, match="gives the counts a for one batch and b for another"):
        mean_counts([{"a": 1.0}, {"b": 1.0}], 1, "toy")


def test_terms_must_have_the_same_names(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="loss terms square"):
        train(Moody(), line_config(batch_size=1, accumulate=8), tmp_path)


def test_chance_depends_on_seed_step_micro_batch_and_rank() -> None:
    def draw(*key: int) -> float:
        with torch.random.fork_rng(devices=[]):
            seed_chance(*key)
            return torch.rand(1).item()

    assert draw(1, 2, 3, 4) == draw(1, 2, 3, 4)
    assert (
        len({draw(*key) for key in [(1, 2, 3, 4), (0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4)]}) == 4
    )
    assert draw(1, 2, 3, 4) != draw(1, 2, 3, 0)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_nan_loss_ends_with_step_term_and_samples(tmp_path: Path, precision: str) -> None:
    task = Spoilt({2}, in_loss=True)
    with pytest.raises(TrainingError) as caught:
        train(task, line_config(precision=precision, batch_size=2), tmp_path)
    message = str(caught.value)
    assert message.startswith("line, step 3: square of the loss is not finite (training samples ")
    assert "lower lr" in message
    assert all(tensor.isfinite().all() for tensor in state_of(task).values())


def test_the_samples_named_are_those_of_the_bad_micro_batch(tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []

    class Watched(Spoilt):
        def sample(self, index: int, rng: object) -> tuple[Tensor, Tensor]:
            seen.append((index,))
            return super().sample(index, rng)  # type: ignore[arg-type]

    with pytest.raises(TrainingError) as caught:
        train(
            Watched({3}, value=math.inf, in_loss=True),
            line_config(batch_size=1, accumulate=2),
            tmp_path,
        )
    # forward 3 (from 0) is the second micro-batch of step 2
    assert f"(training samples {seen[3][0]})" in str(caught.value)


def test_f11_a_gradient_that_is_not_finite_is_skipped_and_counted(tmp_path: Path) -> None:
    class Watched(Spoilt):
        def __init__(self) -> None:
            super().__init__({1}, in_loss=False)
            self.before: list[dict[str, Tensor]] = []

        def forward(self, batch: Points, counts: Mapping[str, float]) -> dict[str, Tensor]:
            self.before.append(state_of(self))
            return super().forward(batch, counts)

    task = Watched()
    result = train(task, line_config(steps=3), tmp_path)
    assert result.skipped == 1
    assert not equal_states(task.before[0], task.before[1])
    assert equal_states(task.before[1], task.before[2])  # step 2 changed nothing


def test_too_many_skipped_steps_in_a_row_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step 5: the gradient .* for 3 steps in a row"):
        train(Spoilt({2, 3, 4}, in_loss=False), line_config(max_skipped=2), tmp_path)


def test_skipped_steps_that_are_not_in_a_row_are_none(tmp_path: Path) -> None:
    config = line_config(max_skipped=1)
    assert train(Spoilt({2, 4, 6}, in_loss=False), config, tmp_path).skipped == 3


def test_f11_fp16_skips_an_overflow_and_lowers_its_scale(tmp_path: Path) -> None:
    config = line_config(precision="fp16", steps=4)
    clean = train(LineTask(), config, tmp_path / "clean")
    spoilt = train(Spoilt({1}, value=math.inf, in_loss=True), config, tmp_path / "spoilt")
    assert (clean.skipped, spoilt.skipped) == (0, 1)
    scales = [
        json.loads((tmp_path / name / "last" / "state.json").read_text())["scaler"]["scale"]
        for name in ("clean", "spoilt")
    ]
    assert scales == [4096.0, 2048.0]  # the first scale, and half of it


def test_fp16_with_an_optimizer_that_has_no_gradient(tmp_path: Path) -> None:
    """The rare layer has part in some steps only, and its own optimizer."""

    class Two(LineTask):
        def optimizers(self, config: TrainConfig) -> list[torch.optim.Optimizer]:
            parts = (self.model.head, self.model.rare)
            return [torch.optim.SGD(part.parameters(), lr=config.lr) for part in parts]

    task = Two()
    task.y[:, 0] = 0.5  # no rare points at all
    before = task.model.rare.weight.detach().clone()
    assert train(task, line_config(precision="fp16"), tmp_path).skipped == 0
    assert torch.equal(task.model.rare.weight, before)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_comes_near_to_single(tmp_path: Path, precision: str) -> None:
    single, half = LineTask(), LineTask()
    train(single, line_config(steps=5), tmp_path / "single")
    train(half, line_config(steps=5, precision=precision), tmp_path / "half")
    assert not equal_states(state_of(single), state_of(half))
    for name, tensor in state_of(half).items():
        # AdamW moves each weight by about lr = 0.05 per step; half a step apart is another path
        torch.testing.assert_close(tensor, state_of(single)[name], rtol=0, atol=0.025)


def test_a_loss_without_any_trained_parameter_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no trained parameter has part in the loss"):
        train(Detached(), line_config(), tmp_path)


def test_clipping_shortens_the_gradient(tmp_path: Path) -> None:
    lengths: list[float] = []

    class Watched(LineTask):
        def optimizers(self, config: object) -> list[torch.optim.Optimizer]:
            optimizers = super().optimizers(config)  # type: ignore[arg-type]
            optimizers[0].register_step_pre_hook(lambda *_: lengths.append(self.length()))
            return optimizers

        def length(self) -> float:
            grads = [p.grad for p in self.model.parameters() if p.grad is not None]
            return float(torch.cat([g.reshape(-1) for g in grads]).norm())

    train(Watched(), line_config(clip_norm=0.5), tmp_path / "clipped")
    assert max(lengths) <= 0.5 + 1e-6
    assert min(lengths) == pytest.approx(0.5, abs=1e-5)
    lengths.clear()
    train(Watched(), line_config(clip_norm=None), tmp_path / "free")
    assert max(lengths) > 0.5


def test_steps_without_targets_are_left_out_and_counted(tmp_path: Path) -> None:
    task = LineTask(LineParams(unlabelled=4))
    config = line_config(batch_size=1, steps=8)
    assert train(task, config, tmp_path).empty == 4


def test_no_target_anywhere_is_an_error(tmp_path: Path) -> None:
    task = LineTask(LineParams(unlabelled=8))
    with pytest.raises(TrainingError, match="no sample has a target, for 12 steps in a row"):
        train(task, line_config(), tmp_path)
