"""One optimizer step: counts, forward and backward passes, check, clip, update."""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from seg_assets.errors import TrainingError
from seg_assets.training.batches import to_device
from seg_assets.training.config import TrainConfig
from seg_assets.training.distributed import sum_numbers, sum_tensor
from seg_assets.training.full_state import Trained
from seg_assets.training.metrics_rows import StepReport
from seg_assets.training.sampling import MicroBatch
from seg_assets.training.task import Task

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
_NAMED = 8


def optimizer_step(
    task: Task,
    network: nn.Module,
    batches: Sequence[MicroBatch],
    trained: Trained,
    config: TrainConfig,
    accelerator: Accelerator,
    step: int,
) -> StepReport | None:
    """Train on the micro-batches of one step, as if they were one large batch.

    Args:
        task: Counts the targets.
        network: The task, wrapped where several processes train together.
        batches: This process's micro-batches.
        trained: What is changed.
        config: Precision, clipping and seed.
        accelerator: Knows the other processes.
        step: Number of the step, from 1.

    Returns:
        Loss terms and gradient, or None where no sample has a target and nothing was done.

    Raises:
        TrainingError: The loss is not finite (under fp16 the step is skipped instead), or no
            trained parameter has part in it.
    """
    processes = accelerator.num_processes
    counts = mean_counts([task.counts(batch.content) for batch in batches], processes, task.name)
    if counts is None:
        return None

    shown: list[Tensor] = []  # per micro-batch: (T,) float32, the loss terms
    names: list[str] = []
    for micro, batch in enumerate(batches):
        seed_chance(config.seed, step, micro, accelerator.process_index)
        content = to_device(batch.content, trained.device)
        last = micro == len(batches) - 1
        # gradients are summed over the processes once, with the last micro-batch
        with nullcontext() if last else accelerator.no_sync(network):
            with autocast(config, trained.device):
                terms: dict[str, Tensor] = network(content, counts)
            names = _same_names(names, list(terms), "loss terms", task.name)
            stacked = torch.stack([term.float() for term in terms.values()])
            shown.append(stacked.detach())
            if stacked.requires_grad:
                trained.scaler.scale(stacked.sum() / len(batches)).backward()

    where = f"{task.name}, step {step}"
    report = _report(names, shown, trained, processes, where)
    if not math.isfinite(report.loss) and config.precision != "fp16":
        raise TrainingError(_not_finite(where, names, shown, batches, report))
    if not report.skipped:
        _update(trained, config, report.grad_norm)
    trained.scaler.update()
    for optimizer in trained.optimizers:
        optimizer.zero_grad(set_to_none=True)
    return report


def mean_counts(
    counts: Sequence[Mapping[str, float]], processes: int, name: str
) -> dict[str, float] | None:
    """Mean of each count over the micro-batches of all processes.

    A sum divided by it, and averaged over micro-batches and processes, is the mean over all.

    Args:
        counts: Of this process's micro-batches.
        processes: How many processes train together.
        name: The task's, for the error.

    Returns:
        Counts above 0 (one that is 0 everywhere becomes 1, as its sums are 0), or None if there are
        counts and all are 0.
    """
    names: list[str] = []
    for of_batch in counts:
        names = _same_names(names, list(of_batch), "counts", name)
    totals = sum_numbers({key: sum(of_batch[key] for of_batch in counts) for key in names})
    if names and not any(totals.values()):
        return None
    return {key: (total or 1.0) / (len(counts) * processes) for key, total in totals.items()}


def seed_chance(seed: int, step: int, micro: int, rank: int) -> None:
    """Seed torch's global generators for one forward pass."""
    state = np.random.SeedSequence([seed, step, micro, rank]).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0]))


def autocast(config: TrainConfig, device: torch.device) -> AbstractContextManager[object]:
    """Half precision for what stands it, where the configuration asks for it."""
    if config.precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, _HALF[config.precision])


def loss_scaler(config: TrainConfig, device: torch.device) -> GradScaler:
    """Keeps fp16's small gradients from vanishing; without effect under fp32 and bf16.

    The scale starts at 4096, is doubled after 1000 good steps and halved by an overflow, as in the
    published SAM fine-tuning recipes.
    """
    enabled = config.precision == "fp16"
    return GradScaler(device.type, init_scale=4096.0, growth_interval=1000, enabled=enabled)


def _report(
    names: Sequence[str], shown: Sequence[Tensor], trained: Trained, processes: int, where: str
) -> StepReport:
    """Terms over the global batch and the norm of the gradient, in one wait for the device."""
    for optimizer in trained.optimizers:
        trained.scaler.unscale_(optimizer)
    gradients = _gradients(trained)
    if not gradients:
        raise TrainingError(
            f"{where}: no trained parameter has part in the loss ({', '.join(names)}): "
            "check what the recipe trains"
        )
    terms = sum_tensor(torch.stack(list(shown)).mean(0)) / processes  # (T,)
    norm = get_total_norm(gradients)
    *values, grad_norm = torch.cat([terms, norm.float().reshape(1).to(terms.device)]).tolist()
    return StepReport(
        terms=dict(zip(names, values, strict=True)),
        grad_norm=grad_norm,
        skipped=not math.isfinite(sum(values) + grad_norm),
    )


def _update(trained: Trained, config: TrainConfig, grad_norm: float) -> None:
    if config.clip_norm is not None and grad_norm > config.clip_norm:
        parameters = [p for p in trained.parameters.values() if p.grad is not None]
        norm = torch.tensor(grad_norm, device=parameters[0].device)
        clip_grads_with_norm_(parameters, config.clip_norm, norm)
    for optimizer in trained.optimizers:
        if _has_gradient(optimizer):  # the scaler refuses one that has none
            trained.scaler.step(optimizer)
    if trained.mean is not None:
        trained.mean.update(trained.progress.step)


def _has_gradient(optimizer: Optimizer) -> bool:
    groups = optimizer.param_groups
    return any(parameter.grad is not None for group in groups for parameter in group["params"])


def _gradients(trained: Trained) -> list[Tensor]:
    return [p.grad for p in trained.parameters.values() if p.grad is not None]


def _same_names(before: list[str], now: list[str], what: str, task: str) -> list[str]:
    if before and before != now:
        raise TrainingError(
            f"{task} gives the {what} {', '.join(before)} for one batch and {', '.join(now)} for "
            "another: give all of them always, 0 where there is nothing"
        )
    return now


def _not_finite(
    where: str,
    names: Sequence[str],
    shown: Sequence[Tensor],
    batches: Sequence[MicroBatch],
    report: StepReport,
) -> str:
    """What to tell the user: the terms, and the samples where this process saw it."""
    terms = [name for name in names if not math.isfinite(report.terms[name])] or list(names)
    indices = [
        index
        for batch, values in zip(batches, shown, strict=True)
        if not bool(values.isfinite().all())
        for index in batch.indices
    ]
    seen = f" (training samples {', '.join(map(str, indices[:_NAMED]))})" if indices else ""
    return (
        f"{where}: {', '.join(terms)} of the loss is not finite{seen}; the weights saved last are "
        "sound: look at these samples, or start again with a lower lr, more warmup_steps or fp32"
    )
