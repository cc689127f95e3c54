"""What a finished or a running training says about itself, read from its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg_assets.errors import InputError
from seg_assets.training.run_folder import RunFolder


@dataclass(frozen=True)
class RunRecord:
    """A run, as its files tell.

    Attributes:
        config: config.json: what is trained, and how.
        rows: metrics.jsonl.
        best: best.json, or None.
        last: last.json, or None.
    """

    config: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    best: Mapping[str, Any] | None
    last: Mapping[str, Any] | None

    @property
    def metric(self) -> str | None:
        """The number that decides which weights are best."""
        said = self.best or self.last
        return None if said is None else said["metric"]

    @property
    def step(self) -> int:
        """Steps that have been saved."""
        return 0 if self.last is None else self.last["step"]

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.config["steps"]

    @property
    def at_start(self) -> Mapping[str, float] | None:
        """Metrics before the first step, or None where nothing was measured then."""
        return next((row["metrics"] for row in self._evaluations if row["step"] == 0), None)

    @property
    def latest(self) -> Mapping[str, float] | None:
        """Metrics of the last evaluation, or None."""
        return self._evaluations[-1]["metrics"] if self._evaluations else None

    @property
    def seconds(self) -> float:
        """Time spent, over all sessions."""
        return max((row["seconds"] for row in self.rows), default=0.0)

    @property
    def images_per_second(self) -> float | None:
        """Mean of the logged rates, but for the first step, which warms up."""
        steps = [row for row in self.rows if row["kind"] == "train"]
        rates = [row["images_per_second"] for row in steps[1:] or steps]
        return sum(rates) / len(rates) if rates else None

    @property
    def curves(self) -> list[Mapping[str, Any]]:
        """The rows with the overall metrics alone, as learning curves show them."""
        return [
            {**row, "metrics": overall(row["metrics"])} if row["kind"] == "evaluate" else row
            for row in self.rows
        ]

    @property
    def _evaluations(self) -> list[Mapping[str, Any]]:
        return [row for row in self.rows if row["kind"] == "evaluate" and row["metrics"]]


def overall(metrics: Mapping[str, float]) -> Mapping[str, float]:
    """The metrics over everything, without those of single classes ("IoU-car") and groups."""
    return {name: value for name, value in metrics.items() if "-" not in name} or metrics


def read_run(run_dir: str | Path) -> RunRecord:
    """Read what a run has written so far.

    Raises:
        InputError: There is no run.
        StoreError: A file of it is damaged.
    """
    folder = RunFolder(run_dir)
    config = folder.config()
    if config is None:
        raise InputError(f"{run_dir} is no folder of a training run: it has no config.json")
    return RunRecord(
        config=config,
        rows=folder.rows(),
        best=folder.weights_description("best"),
        last=folder.weights_description("last"),
    )
