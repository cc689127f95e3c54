"""The learning rate as a function of the step alone: nothing to save, nothing to restore."""

import math
from collections.abc import Iterable

from torch.optim import Optimizer

from seg_assets.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """Rate of one step.

    Args:
        config: Rate, warm-up and schedule.
        step: Which, from 1. The first `warmup_steps` get step / warmup_steps of the rate; a
            milestone m multiplies the rate from step m on.
        steps: How many there are in all.

    Returns:
        The rate of groups whose `lr_scale` is 1.
    """
    warm = min(1.0, step / config.warmup_steps) if config.warmup_steps else 1.0
    return config.lr * warm * _decay(config, step, steps)


def depends_on_length(config: TrainConfig) -> bool:
    """Whether the rate of a step depends on how many steps the run has in all."""
    fractions = any(milestone < 1 for milestone in config.milestones)
    return config.schedule == "cosine" or (config.schedule == "multistep" and fractions)


def set_learning_rate(optimizers: Iterable[Optimizer], rate: float) -> None:
    """Give every parameter group `rate` times its own `lr_scale`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)


def _decay(config: TrainConfig, step: int, steps: int) -> float:
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "cosine":
        done = max(0, step - config.warmup_steps) / max(1, steps - config.warmup_steps)
        falling = (1 + math.cos(math.pi * min(1.0, done))) / 2
        return config.final_lr + (1 - config.final_lr) * falling
    passed = [m for m in config.milestones if step >= (m * steps if m < 1 else m)]
    return config.gamma ** len(passed)
