"""A training in processes of its own: from a shell, the CLI or a Dagster asset.

    python -m seg_assets.training.launch JOB.json [OUTCOME.json]
    torchrun --nproc-per-node 2 -m seg_assets.training.launch JOB.json [OUTCOME.json]

The job is a file, so that nothing has to be passed through the command line; the outcome is a file,
so that the parent can say what went wrong in one sentence. Under Dagster Pipes the logged rows are
reported as they are written.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seg_assets import errors
from seg_assets.errors import InputError, SegAssetsError, TrainingError
from seg_assets.training.config import TrainConfig
from seg_assets.training.registry import build_task
from seg_assets.training.result import TrainResult

if TYPE_CHECKING:
    from seg_assets.training.task import Json
    from seg_assets.training.trackers import Tracker

_log = logging.getLogger(__name__)

_MODULE = "seg_assets.training.launch"
_PARENT = "SEG_TRAIN_PARENT"  # process whose end ends the training
_LOOK_SECONDS = 2.0
_STOPPED = 130  # exit status of who was interrupted, as shells have it
_PIPES = "DAGSTER_PIPES_CONTEXT"  # set by Dagster for the processes that it starts


class TrainJob(BaseModel):
    """What a training process is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = Field(description="A name of registry.TASKS, or module:function of a builder.")
    params: dict[str, Any] = Field(default_factory=dict, description="What the builder takes.")
    config: TrainConfig = Field(description="How to train.")
    run_dir: Path = Field(description="Where everything is written.")
    resume: bool = Field(default=True, description="Whether a run that is there goes on.")


@dataclass(frozen=True)
class Launch:
    """A training that is ready to be started.

    Attributes:
        command: Program and arguments.
        outcome_file: Where the process will say how it ended.
        environment: Variables for it besides our own, so that it ends when we are gone.
    """

    command: list[str]
    outcome_file: Path
    environment: dict[str, str] = field(default_factory=dict)

    def outcome(self, status: int | None = None) -> TrainResult:
        """How the training ended, once its process has.

        Args:
            status: Exit status of the process, for the error.

        Raises:
            SegAssetsError: What the training raised.
            TrainingError: The process was killed, or failed in an unexpected way.
        """
        if not self.outcome_file.is_file():
            ended = "" if status is None else f" with status {status}"
            raise TrainingError(
                f"the training process ended{ended} without a result, so it was killed or failed "
                "in an unexpected way: see its output, and start it again to go on"
            )
        said = json.loads(self.outcome_file.read_text(encoding="utf-8"))
        if "error" in said:
            kind = getattr(errors, said["error"], TrainingError)
            raise kind(said["message"])
        return TrainResult(**{**said, "run_dir": Path(said["run_dir"])})


@contextmanager
def prepared(job: TrainJob, processes: int = 1) -> Iterator[Launch]:
    """Write the job for the training process; its files are gone after the block.

    Args:
        job: What to train.
        processes: Processes on this machine, one per GPU; more than one are started by torchrun.
    """
    with tempfile.TemporaryDirectory(prefix="seg_assets-train-") as folder:
        job_file, outcome_file = Path(folder, "job.json"), Path(folder, "outcome.json")
        absolute = job.model_copy(update={"run_dir": job.run_dir.absolute()})
        job_file.write_text(absolute.model_dump_json(indent=2), encoding="utf-8")
        run = command(job_file, processes, outcome_file)
        yield Launch(run, outcome_file, {_PARENT: str(os.getpid())})


def command(job_file: Path, processes: int = 1, outcome_file: Path | None = None) -> list[str]:
    """Program and arguments that train what `job_file` says.

    Raises:
        InputError: `processes` is not at least 1.
    """
    if processes < 1:
        raise InputError(f"{processes} processes cannot train: ask for one at least")
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    files = [str(file) for file in (job_file, outcome_file) if file is not None]
    return [sys.executable, *(torchrun if processes > 1 else []), "-m", _MODULE, *files]


def run_job(
    job: TrainJob, processes: int = 1, environment: Mapping[str, str] | None = None
) -> TrainResult:
    """Train in processes of their own and wait for them; what they log goes to our stderr.

    Args:
        job: What to train.
        processes: Processes on this machine.
        environment: Variables beside our own, e.g. CUDA_VISIBLE_DEVICES.

    Raises:
        SegAssetsError: What the training raised.
        TrainingError: The process was killed, or failed in an unexpected way.
    """
    with prepared(job, processes) as launch:
        child = subprocess.Popen(
            launch.command, env={**os.environ, **launch.environment, **(environment or {})}
        )
        try:
            status = child.wait()
        finally:
            if child.poll() is None:  # we are being stopped, so the training is, too
                child.terminate()
                child.wait()
        return launch.outcome(status)


def main(arguments: Sequence[str]) -> int:
    """Train what a job file says; this is the child's side.

    Args:
        arguments: The job file, and the file for the outcome if it is wanted.

    Returns:
        Exit status: 0, 1 for failed work, 2 for wrong usage.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _follow_parent()
    if not 1 <= len(arguments) <= 2:
        _log.error("usage: python -m %s JOB.json [OUTCOME.json]", _MODULE)
        return 2
    outcome_file = Path(arguments[1]) if len(arguments) > 1 else None
    try:
        result = _train(_read_job(Path(arguments[0])))
    except SegAssetsError as error:
        if outcome_file is None:  # else the parent tells it
            _log.error("%s", error)
        _write_outcome(outcome_file, {"error": type(error).__name__, "message": str(error)})
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        _log.error("the training was stopped: start it again to go on from its last save")
        return _STOPPED
    if _rank() == 0:
        _write_outcome(outcome_file, {**asdict(result), "run_dir": str(result.run_dir)})
    return 0


def _follow_parent() -> None:
    """End this process when the one that has started the training is gone, however it went.

    Its device is free for others from then on, and so must the run's folder be.
    """
    parent = int(os.environ.get(_PARENT, "0"))
    if not parent:
        return

    def watch() -> None:
        while _lives(parent):
            time.sleep(_LOOK_SECONDS)
        _log.error("the process that has started this training is gone, so it ends as well")
        os._exit(_STOPPED)

    threading.Thread(target=watch, daemon=True).start()


def _lives(process: int) -> bool:
    with suppress(OSError):  # no such file: it is gone, or this is not Linux
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        return state.split()[0] != "Z"  # ended, and nobody has asked how
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, as another user's
        return True
    return True


def _read_job(path: Path) -> TrainJob:
    try:
        return TrainJob.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"the job {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"the job {path} is wrong at {where}: {first['msg']}") from error


def _train(job: TrainJob) -> TrainResult:
    from torch import distributed  # noqa: PLC0415  # only the training process needs torch

    from seg_assets.training.loop import train  # noqa: PLC0415

    with ExitStack() as stack:
        trackers = [stack.enter_context(_pipes())] if _PIPES in os.environ and _rank() == 0 else []
        task = build_task(job.task, job.params)
        try:
            result = train(task, job.config, job.run_dir, resume=job.resume, trackers=trackers)
        finally:
            if distributed.is_available() and distributed.is_initialized():
                distributed.destroy_process_group()
    return result


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))  # set by torchrun


def _write_outcome(path: Path | None, said: Mapping[str, Any]) -> None:
    """Write how it ended; of several processes that fail the first one speaks."""
    if path is None or path.exists():
        return
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(said), encoding="utf-8")
    scratch.replace(path)


@contextmanager
def _pipes() -> "Iterator[Tracker]":
    """Report to Dagster, whose step has started this process.

    Our own errors are left to the outcome: Dagster would show them a second time, with their stack.
    """
    from dagster_pipes import open_dagster_pipes  # noqa: PLC0415  # optional

    failure: SegAssetsError | None = None
    with open_dagster_pipes() as context:
        try:
            yield _PipesTracker(context)
        except SegAssetsError as error:
            failure = error
    if failure is not None:
        raise failure


class _PipesTracker:
    """Rows as messages of Dagster Pipes: a line in the run's log, and the row itself."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def log(self, row: "Mapping[str, Json]") -> None:
        """Report one row; the line has no metrics of single classes."""
        from seg_assets.training.record import overall  # noqa: PLC0415  # torch

        metrics = row.get("metrics")
        shown = overall(metrics) if isinstance(metrics, dict) else {"loss": row["loss"]}  # type: ignore[arg-type]
        self._context.log.info(f"step {row['step']}: {json.dumps(shown)}")
        self._context.report_custom_message(dict(row))

    def close(self) -> None:
        """Nothing is held back."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
