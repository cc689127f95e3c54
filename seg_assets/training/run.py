"""One run as the loop sees it: its folder, its rows, its checkpoints. Only rank 0 writes."""

import json
import logging
import math
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

from accelerate import Accelerator

from seg_assets import __version__
from seg_assets.errors import InputError, TrainingError
from seg_assets.modeling.checkpoints import state_sha256
from seg_assets.training.agreement import check_agreement
from seg_assets.training.config import TrainConfig
from seg_assets.training.full_state import Trained, has_state, remove_leftovers, save_state
from seg_assets.training.metrics_rows import StepReport
from seg_assets.training.run_folder import RunFolder
from seg_assets.training.task import Json, Task
from seg_assets.training.trackers import Tracker, open_tracker
from seg_assets.training.trainable import named_parameters

_log = logging.getLogger(__name__)

_LINE_EVERY = 5.0  # seconds


@dataclass
class Run:
    """A run that is open for training.

    Attributes:
        folder: Where its files are.
        task: What is trained.
        config: How.
        steps: Optimizer steps in all.
        writes: Whether this process writes (rank 0).
        resumes: Whether there is a saved state to go on from.
        trackers: Who gets the rows besides metrics.jsonl.
        best: Highest value of the task's metric so far, and its step.
        metrics: Of the last evaluation.
        evaluated: Step of the last evaluation, or -1.
    """

    folder: RunFolder
    task: Task
    config: TrainConfig
    steps: int
    writes: bool
    resumes: bool
    trackers: list[Tracker] = field(default_factory=list)
    best: tuple[float, int] | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    evaluated: int = -1
    _told: tuple[float, int] = (0.0, 0)  # when and at which step the last line was written

    def begin(self, step: int) -> None:
        """Training begins after `step` steps; what was measured later will be measured again."""
        self._told = (time.monotonic(), step)
        if self.writes and self.resumes:
            self.folder.forget_rows_after(step)
            _restore_measured(self)

    def log(self, row: Mapping[str, Json]) -> None:
        """Write one row of metrics."""
        if self.writes:
            self.folder.add_row(row)
            for tracker in self.trackers:
                tracker.log(row)

    def tell(self, step: int, report: StepReport) -> None:
        """Say every few seconds how far the training is."""
        now = time.monotonic()
        told_at, told_step = self._told
        if not self.writes or (now - told_at < _LINE_EVERY and step != self.steps):
            return
        self._told = (now, step)
        pace = (now - told_at) / max(1, step - told_step)
        left = round((self.steps - step) * pace)
        _log.info(
            "%s: step %d of %d, loss %.4g, %.3f s/step, %d:%02d:%02d left",
            *(self.task.name, step, self.steps, report.loss, pace),
            *(left // 3600, left // 60 % 60, left % 60),
        )

    def evaluated_at(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take in an evaluation: if it is better than all before, its weights are the best.

        Raises:
            TrainingError: The task's metric is not among the metrics.
        """
        self.metrics, self.evaluated = dict(metrics), step
        if not metrics:
            return
        if self.task.metric not in metrics:
            raise TrainingError(
                f"{self.task.name} is to be judged by '{self.task.metric}', but its evaluation "
                f"gives {', '.join(metrics)}: name one of these as the task's metric"
            )
        value = metrics[self.task.metric]
        if not math.isnan(value) and (self.best is None or value > self.best[0]):
            self.best = (value, step)
            self._write_weights("best", step)

    def save(self, trained: Trained) -> None:
        """Write the full state, from which the run can go on, and the weights as a checkpoint."""
        if self.writes:
            with trained.weights_to_keep():
                self._write_weights("last", trained.progress.step)
            save_state(self.folder, trained)

    def _write_weights(self, name: str, step: int) -> None:
        if not self.writes:
            return
        description: dict[str, Json] = {
            "task": self.task.name,
            "description": self.task.description(),
            "config": self.config.model_dump(mode="json"),
            "step": step,
            "metric": self.task.metric,
            "metrics": dict(self.metrics) if self.evaluated == step else {},
            "seg_assets": __version__,
        }
        self.folder.write_weights(name, self.task.weights(), description)


@contextmanager
def open_run(
    task: Task,
    config: TrainConfig,
    run_dir: str | Path,
    accelerator: Accelerator,
    *,
    resume: bool,
    trackers: Sequence[Tracker],
) -> Iterator[Run]:
    """Open the folder of a run, new or begun, and keep others out of it.

    Raises:
        InputError: The run there is another training, or `resume` is off and there is one.
        StoreError: Another process trains there, or the folder cannot be read or written.
    """
    folder = RunFolder(run_dir)
    writes = accelerator.is_main_process
    record = _record(task, config, accelerator.num_processes)
    with ExitStack() as stack:
        if writes:
            stack.enter_context(folder.hold())
        begun = folder.config()
        resumes = begun is not None and has_state(folder)
        if begun is not None and not resume:
            raise InputError(
                f"{folder.path} holds a run already: let it go on, or give another folder"
            )
        if begun is not None and resumes:
            check_agreement(begun, record, config, str(folder.path))
            record["run_id"] = begun["run_id"]
        accelerator.wait_for_everyone()  # all have looked at the folder before one changes it
        steps = config.total_steps(len(task), accelerator.num_processes)
        run = Run(folder, task, config, steps, writes, resumes)
        if writes:
            folder.remove_leftovers()
            remove_leftovers(folder)
            if not resumes:
                folder.clear_results()
            folder.write_config(record)
            run.trackers = list(trackers)
            for name in config.trackers:
                tracker = open_tracker(name, folder.path, str(record["run_id"]), record)
                stack.callback(tracker.close)
                run.trackers.append(tracker)
        yield run


def _record(task: Task, config: TrainConfig, processes: int) -> dict[str, Json]:
    """What config.json says: all that decides the weights, and who wrote it."""
    parameters = named_parameters(task.model)
    trained = [p for p in parameters.values() if p.requires_grad]
    frozen = {name: p for name, p in parameters.items() if not p.requires_grad}
    record = {
        "task": task.name,
        "config": config.model_dump(mode="json"),
        "steps": config.total_steps(len(task), processes),
        "samples": len(task),
        "processes": processes,
        "description": task.description(),
        "trained": {"tensors": len(trained), "parameters": sum(p.numel() for p in trained)},
        "frozen_sha256": state_sha256(frozen) if frozen else None,
        "seg_assets": __version__,
        "run_id": uuid.uuid4().hex[:12],
    }
    try:
        return json.loads(json.dumps(record, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TrainingError(
            f"the description of {task.name} cannot be written as JSON ({error}): "
            "keep to numbers, texts, lists and tables"
        ) from error


def _restore_measured(run: Run) -> None:
    """What earlier sessions have measured: the best checkpoint's value, the last evaluation."""
    for row in run.folder.rows():
        if row["kind"] == "evaluate" and isinstance(row["metrics"], dict):
            run.metrics = {k: float(v) for k, v in row["metrics"].items() if _is_number(v)}
    found = run.folder.weights_description("best")
    metrics = found.get("metrics") if found is not None else None
    if found is None or not isinstance(metrics, dict):
        return
    value, step = metrics.get(run.task.metric), found.get("step")
    if isinstance(value, (int, float)) and isinstance(step, int):
        run.best = (float(value), step)


def _is_number(value: Json) -> TypeGuard[float]:
    return isinstance(value, (int, float))
