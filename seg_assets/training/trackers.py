"""Services that get the logged numbers besides metrics.jsonl. None is imported unasked."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from seg_assets.errors import InputError
from seg_assets.training.config import TrackerName
from seg_assets.training.task import Json

WANDB_KEY = "WANDB_API_KEY"
_UNTRACKED = {"kind", "step"}


class Tracker(Protocol):
    """Whoever wants to see the rows of metrics.jsonl as they are written."""

    def log(self, row: Mapping[str, Json]) -> None:
        """Take one row; `metrics_rows.py` says what is in it."""
        ...

    def close(self) -> None:
        """Send what has not been sent; nothing comes after this."""
        ...


def open_tracker(
    name: TrackerName, run_dir: Path, run_id: str, settings: Mapping[str, Json]
) -> Tracker:
    """Start one of the known trackers.

    Args:
        name: Which.
        run_dir: The run's folder; its name is the run's name.
        run_id: Kept through all sessions of a run, so that they form one curve.
        settings: Configuration and description, shown beside the curves.

    Raises:
        InputError: Its package is not installed, or no key is set.
    """
    if name == "wandb":
        return WandbTracker(run_dir, run_id, settings)
    return TensorboardTracker(run_dir)


class WandbTracker:
    """Weights & Biases. Its own environment variables rule: WANDB_MODE=offline needs no network.

    The key is taken from WANDB_API_KEY and nowhere else; the project from WANDB_PROJECT.
    """

    def __init__(self, run_dir: Path, run_id: str, settings: Mapping[str, Json]) -> None:
        online = os.environ.get("WANDB_MODE", "online") not in {"offline", "disabled", "dryrun"}
        if online and not os.environ.get(WANDB_KEY):
            raise InputError(
                f"the tracker wandb needs a key: set {WANDB_KEY}, or WANDB_MODE=offline"
            )
        self._wandb = _imported("wandb", "wandb")
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "seg_assets"),
            name=run_dir.name,
            id=run_id,
            resume="allow",
            dir=str(run_dir),
            config=dict(settings),
        )

    def log(self, row: Mapping[str, Json]) -> None:
        """Send one row."""
        self._run.log(_flat_numbers(row), step=row["step"])

    def close(self) -> None:
        """End the run there."""
        self._run.finish()


class TensorboardTracker:
    """Event files for TensorBoard in `tensorboard/` of the run's folder."""

    def __init__(self, run_dir: Path) -> None:
        module = _imported("torch.utils.tensorboard", "tensorboard")
        self._writer = module.SummaryWriter(log_dir=str(run_dir / "tensorboard"))

    def log(self, row: Mapping[str, Json]) -> None:
        """Write one row."""
        for name, value in _flat_numbers(row).items():
            self._writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """Bring the event file to the disk."""
        self._writer.close()


def _imported(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"the tracker {extra} cannot be imported ({error}): pip install 'seg_assets[{extra}]'"
        ) from error


def _flat_numbers(row: Mapping[str, Json]) -> dict[str, float]:
    """A row's numbers as "kind/name" or "kind/table/name"."""
    kind = row["kind"]
    flat: dict[str, float] = {}
    for key, value in row.items():
        if key in _UNTRACKED:
            continue
        table = value if isinstance(value, Mapping) else {"": value}
        for name, number in table.items():
            if isinstance(number, (int, float)):
                flat["/".join(part for part in (str(kind), key, name) if part)] = float(number)
    return flat
