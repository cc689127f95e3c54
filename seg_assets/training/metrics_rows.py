"""The rows of metrics.jsonl, and the pace at which a training goes."""

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from seg_assets.training.task import Json


@dataclass(frozen=True)
class StepReport:
    """What one optimizer step has shown.

    Attributes:
        terms: Loss terms by name, over the whole global batch; their sum is the loss.
        grad_norm: L2 norm of the gradient before it was clipped.
        skipped: Whether the weights were left as they were, because the gradient was not finite.
    """

    terms: dict[str, float]
    grad_norm: float
    skipped: bool

    @property
    def loss(self) -> float:
        """The plain sum of the terms."""
        return sum(self.terms.values())


class Clock:
    """Time of a run over all its sessions, and images per second since the last row.

    Args:
        seconds: What earlier sessions took.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._began = time.perf_counter() - seconds
        self._step_began = 0.0
        self._images = 0
        self._training = 0.0

    @property
    def seconds(self) -> float:
        """Time of the run until now."""
        return time.perf_counter() - self._began

    def start_step(self) -> None:
        """A step begins; what lies between steps (evaluating, saving) is not training."""
        self._step_began = time.perf_counter()

    def end_step(self, images: int) -> None:
        """A step over so many images has ended."""
        self._images += images
        self._training += time.perf_counter() - self._step_began

    def images_per_second(self) -> float:
        """The rate since the last time that this was asked for."""
        rate = self._images / max(self._training, 1e-9)
        self._images, self._training = 0, 0.0
        return rate


def train_row(
    step: int,
    epoch: float,
    rate: float,
    report: StepReport,
    images_per_second: float,
    seconds: float,
) -> dict[str, Json]:
    """Row of one optimizer step.

    Args:
        step: Which, from 1.
        epoch: Passes over the data after this step.
        rate: Learning rate of the step.
        report: Loss and gradient of this step alone.
        images_per_second: Since the last row, over all processes.
        seconds: Time spent on the run, over all its sessions.
    """
    return {
        "kind": "train",
        "step": step,
        "epoch": epoch,
        "lr": rate,
        "loss": report.loss,
        "terms": dict(report.terms),
        "grad_norm": report.grad_norm,
        "skipped": report.skipped,
        "images_per_second": images_per_second,
        "seconds": seconds,
        "peak_memory_mib": peak_memory_mib(),
    }


def evaluate_row(
    step: int, epoch: float, metrics: Mapping[str, float], seconds: float
) -> dict[str, Json]:
    """Row of one evaluation after `step` steps (0: before the first)."""
    return {
        "kind": "evaluate",
        "step": step,
        "epoch": epoch,
        "metrics": dict(metrics),
        "seconds": seconds,
    }


def peak_memory_mib() -> float:
    """Most memory so far: of the CUDA device where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def is_logged(step: int, steps: int, first_logged: int, log_every: int) -> bool:
    """Whether a step (from 1) gets a row: the first ones, every n-th, and the last."""
    return step <= first_logged or step % log_every == 0 or step == steps
