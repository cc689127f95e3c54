"""How a training ended."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainResult:
    """How a training ended. With several processes, rank 0's is the one to go by.

    Attributes:
        run_dir: Where everything was written.
        step: Optimizer steps, over all sessions.
        metrics: Of the last evaluation.
        best: Highest value of the task's metric, or None where nothing was evaluated.
        best_step: Step of the best value, or None.
        skipped: Steps without effect because a gradient was not finite.
        empty: Steps without effect because no sample had a target.
        seconds: Time spent, over all sessions.
    """

    run_dir: Path
    step: int
    metrics: dict[str, float]
    best: float | None
    best_step: int | None
    skipped: int
    empty: int
    seconds: float
