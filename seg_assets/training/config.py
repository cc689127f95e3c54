"""How long, how fast and how exactly a model is trained."""

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["fp32", "bf16", "fp16"]
TrackerName = Literal["wandb", "tensorboard"]


class TrainConfig(BaseModel):
    """Parameters of the training loop, the same for every task.

    Only plain types, so that a Dagster config class can derive from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int | None = Field(
        default=None, ge=1, description="Optimizer steps in all. Give either steps or epochs."
    )
    epochs: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Passes over the training data; the last step is rounded up.",
    )
    batch_size: int = Field(
        default=4, ge=1, description="Samples per micro-batch and process: what fits in memory."
    )
    accumulate: int = Field(
        default=1,
        ge=1,
        description="Micro-batches per optimizer step. 2 x 4 samples give the step of 1 x 8.",
    )
    precision: Precision = Field(
        default="fp32",
        description="Type of the network's arithmetic; weights and losses are float32 anyway. "
        "fp16 scales the loss and skips steps that overflow.",
    )
    device: Literal["auto", "cpu"] = Field(
        default="auto", description="auto takes the accelerator that there is."
    )
    lr: float = Field(
        default=1e-4, gt=0, allow_inf_nan=False, description="Learning rate after the warm-up."
    )
    betas: tuple[float, float] = Field(
        default=(0.9, 0.999), description="AdamW's averaging of the gradient and of its square."
    )
    weight_decay: float = Field(
        default=0.05,
        ge=0,
        allow_inf_nan=False,
        description="Decay of the weights, for groups that bring no own.",
    )
    warmup_steps: int = Field(
        default=0, ge=0, description="Step k of the first ones gets k / warmup_steps of the rate."
    )
    schedule: Literal["multistep", "cosine", "constant"] = Field(
        default="multistep", description="What the learning rate does after the warm-up."
    )
    milestones: tuple[float, ...] = Field(
        default=(0.88889, 0.96296),
        description="multistep: after these steps the rate is multiplied by gamma. Below 1: "
        "fractions of all steps.",
    )
    gamma: float = Field(default=0.1, gt=0, le=1, description="multistep: factor at a milestone.")
    final_lr: float = Field(
        default=0.0, ge=0, le=1, description="cosine: what is left of the rate at the last step."
    )
    clip_norm: float | None = Field(
        default=5.0,
        gt=0,
        allow_inf_nan=False,
        description="Longest gradient (L2 norm over all parameters), or none for no limit.",
    )
    ema: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Decay of a running mean of the weights, e.g. 0.995; it is what is evaluated "
        "and saved. It starts as min(ema, (1 + step) / (10 + step)). none for no mean.",
    )
    max_skipped: int = Field(
        default=20,
        ge=0,
        description="Steps in a row that may be skipped because a gradient is not finite.",
    )
    seed: int = Field(default=42, ge=0, description="Seed of the data's order and of all chance.")
    workers: int = Field(
        default=0, ge=0, description="Processes that make samples; 0: the training process does."
    )
    first_logged: int = Field(
        default=10, ge=0, description="So many steps at the beginning are all logged."
    )
    log_every: int = Field(default=100, ge=1, description="Later, every so many steps are.")
    save_every: int = Field(
        default=500, ge=1, description="Steps between two saves of the full state; also at the end."
    )
    evaluate_every: int | None = Field(
        default=None, ge=1, description="Steps between two evaluations; none: at the end only."
    )
    evaluate_at_start: bool = Field(
        default=False, description="Evaluate before the first step, too."
    )
    trackers: tuple[TrackerName, ...] = Field(
        default=(), description="Services that get the logged numbers besides metrics.jsonl."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas}: both must be at least 0 and below 1")
        if not all(math.isfinite(milestone) and milestone > 0 for milestone in self.milestones):
            raise ValueError(f"milestones {self.milestones}: each must be above 0")
        if any(milestone > 1 and milestone % 1 for milestone in self.milestones):
            raise ValueError(f"milestones {self.milestones}: steps must be whole numbers")
        return self

    def total_steps(self, samples: int, processes: int = 1) -> int:
        """Optimizer steps of the whole run.

        Args:
            samples: Training samples per epoch.
            processes: Processes that train together.
        """
        if self.epochs is None:
            return self.steps or 0  # one of the two is given
        return max(1, math.ceil(self.epochs * samples / self.global_batch(processes) - 1e-9))

    def global_batch(self, processes: int = 1) -> int:
        """Samples of one optimizer step."""
        return self.batch_size * self.accumulate * processes
