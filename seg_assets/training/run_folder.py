"""The folder of one training run: what a user finds there, and how it gets there whole.

    config.json          what is trained, and how
    metrics.jsonl        one row per logged step and per evaluation
    best.safetensors     weights of the best evaluation; best.json describes them
    last.safetensors     weights of the last save; last.json describes them
    last/                the full state, from which the run goes on (`full_state.py`)

Files are written under another name, brought to the disk and renamed: a process that is killed
leaves the old file or the new one.
"""

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from seg_assets.errors import CheckpointError, InputError, StoreError, TrainingError
from seg_assets.modeling.state_file import DESCRIPTION, read_description
from seg_assets.modeling.weights_file import sha256_of
from seg_assets.storage.files import explained
from seg_assets.storage.local_files import LocalFiles
from seg_assets.training.task import Json

_log = logging.getLogger(__name__)

CONFIG, METRICS = "config.json", "metrics.jsonl"
_RESULTS = (METRICS, "best.safetensors", "best.json", "last.safetensors", "last.json")


class RunFolder:
    """The files of one run, below one folder of a local disk."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.files = LocalFiles(str(self.path))

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other processes from training in this folder.

        Raises:
            StoreError: One does already, or the folder cannot be written.
        """
        with self.files.lock(".lock", f"the run {self.path}"):
            yield

    def config(self) -> dict[str, Json] | None:
        """The record of what is trained here, or None where no run was begun.

        Raises:
            InputError: The folder holds weights or metrics that are not of a run.
            StoreError: The record cannot be read.
        """
        if self.files.exists(CONFIG):
            return self._read_json(CONFIG)
        if found := [name for name in _RESULTS if self.files.exists(name)]:
            raise InputError(
                f"{self.path} holds {found[0]} but no {CONFIG}, so it is not the folder of a run: "
                "choose an empty or new one"
            )
        return None

    def write_config(self, record: Mapping[str, Json]) -> None:
        """Write the record of what is trained here."""
        self._write_json(CONFIG, record)

    def remove_leftovers(self) -> None:
        """Remove the unfinished files of processes that were killed; call it inside `hold`."""
        for name in self.files.list_files(""):
            if name.startswith(".") and name.endswith(".tmp"):
                self.files.remove(name)

    def clear_results(self) -> None:
        """Remove what a run left that never got as far as its first save."""
        for name in _RESULTS:
            self.files.remove(name)

    def add_row(self, row: Mapping[str, Json]) -> None:
        """Append one row of metrics; a number that is not finite becomes null."""
        with explained("write", self.files.location(METRICS)):
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(_finite(row), allow_nan=False) + "\n")

    def rows(self) -> list[dict[str, Json]]:
        """All rows of metrics; a last one that was cut by a kill is left out."""
        if not self.files.exists(METRICS):
            return []
        text = self.files.read(METRICS).decode("utf-8", errors="replace")
        whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        try:
            return [json.loads(line) for line in whole]
        except ValueError as error:
            raise StoreError(
                f"{self.path / METRICS} is damaged: move it away to go on without it"
            ) from error

    def forget_rows_after(self, step: int) -> None:
        """Remove the rows of steps that were done but not saved; they will be done again."""
        kept = [row for row in self.rows() if _step(row) <= step]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        self.files.write(METRICS, text.encode())

    def write_weights(
        self, name: str, weights: Mapping[str, Tensor], description: Mapping[str, Json]
    ) -> None:
        """Write `name`.safetensors and beside it `name`.json: the description and the file's hash.

        The description is also kept inside the weights file, so that it cannot be lost or belong to
        another one.
        """
        text = json.dumps(_finite(description), allow_nan=False)
        scratch = self.files.scratch_file(f"{name}.safetensors")
        try:
            write_tensors(scratch, weights, {DESCRIPTION: text})
            sha256 = sha256_of(scratch)
            self.files.publish(scratch, f"{name}.safetensors")
        finally:
            scratch.unlink(missing_ok=True)
        self._write_json(f"{name}.json", {**json.loads(text), "sha256": sha256})

    def weights_description(self, name: str) -> dict[str, Json] | None:
        """What `name`.json says, or None where no such weights were written.

        A kill may have come between the two files; the description is then taken from the weights.
        """
        weights = self.path / f"{name}.safetensors"
        if not weights.is_file():
            return None
        sha256 = sha256_of(weights)
        if self.files.exists(f"{name}.json"):
            found = self._read_json(f"{name}.json")
            if found.get("sha256") == sha256:
                return found
        try:
            described = read_description(weights)
        except CheckpointError as error:
            raise TrainingError(f"{weights} is damaged: move it away to go on") from error
        if described is None:
            raise TrainingError(f"{weights} was not written by a run: move it away to go on")
        found = {**described, "sha256": sha256}
        self._write_json(f"{name}.json", found)
        return found

    def _read_json(self, name: str) -> dict[str, Json]:
        try:
            return json.loads(self.files.read(name))
        except ValueError as error:
            raise StoreError(
                f"{self.path / name} is damaged: give the training another folder"
            ) from error

    def _write_json(self, name: str, value: Mapping[str, Json]) -> None:
        text = json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"
        self.files.write(name, text.encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors of any device as one safetensors file and bring it to the disk.

    Raises:
        StoreError: The disk is full or the folder cannot be written.
    """
    try:
        save_file(_separate(tensors), path, metadata=dict(metadata))
    except SafetensorError as error:
        raise StoreError(f"{path} cannot be written ({error}): is the disk full?") from error
    with explained("write", str(path)):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies where two names share memory (tied weights), which the format refuses."""
    seen: set[int] = set()
    apart: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        apart[name] = own.clone() if place in seen else own
        seen.add(place)
    return apart


def _finite(value: object) -> Json:
    """The same JSON value with null for each NaN and infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TrainingError(
        f"{value!r} is a {type(value).__name__}: descriptions and metrics may hold plain numbers, "
        "texts, lists and tables only"
    )


def _step(row: Mapping[str, Json]) -> int:
    step = row.get("step")
    return step if isinstance(step, int) else 0
