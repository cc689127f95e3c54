"""Get the weights of a manifest entry, and check those that are there."""

import datetime
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.fetch import Fetched, Progress, fetch
from seg_assets.modeling.manifest import ModelEntry, missing_weights, weights_path
from seg_assets.modeling.weights_file import (
    WeightsRecord,
    check_hash,
    read_record,
    record_path,
    refuse_other_files,
    write_record,
)

_log = logging.getLogger(__name__)

Verdict = Literal["known hash", "own record", "recorded now", "no weights needed"]
"""What a file was held against. The last: seeded random weights, there is no file."""


def download(entry: ModelEntry, *, progress: Progress | None = None, force: bool = False) -> Path:
    """Make sure that the weights of `entry` are there and right; returns their path.

    A file that is there already is checked, not downloaded again. Two processes that ask for the
    same file wait for each other.

    Args:
        entry: Which checkpoint.
        progress: Told about every piece that comes in.
        force: Replace a file that is there, and its record where no hash is public.

    Raises:
        InputError: The entry has no address.
        CheckpointError: The download failed or its bytes are wrong; one sentence says why.
    """
    if entry.url is None:
        raise InputError(
            f"{entry.name} has nothing to download: it ships with the project or is random"
        )
    path = weights_path(entry)
    with _alone(path):
        if path.is_file() and not force:
            verify(entry)
            return path
        record = None if force or entry.sha256 else read_record(path)
        fetched = fetch(
            entry.url,
            path,
            sha256=record.sha256 if record else entry.sha256,
            size=record.bytes if record else entry.bytes,
            progress=progress,
        )
        if entry.sha256 is None and record is None:
            _record(path, entry, fetched)
    return path


def verify(entry: ModelEntry) -> Verdict:
    """Hash the weights of `entry` and hold them against what is known about them.

    Where nothing is known, the hash is recorded beside the file, for the next time.

    Raises:
        CheckpointError: The file is missing, damaged or another one.
    """
    path = weights_path(entry)
    if not path.is_file():
        if entry.seed is not None:
            return "no weights needed"
        raise missing_weights(entry)
    refuse_other_files(path)
    found, expected = check_hash(path, entry.sha256)
    if expected is None:
        _record(path, entry, Fetched(path.stat().st_size, found, None), by_hand=True)
        return "recorded now"
    return "own record" if entry.sha256 is None else "known hash"


def _record(path: Path, entry: ModelEntry, fetched: Fetched, *, by_hand: bool = False) -> None:
    """Write down what came, so that it cannot change unnoticed from here on."""
    record = WeightsRecord(
        url="" if by_hand or entry.url is None else entry.url,
        bytes=fetched.bytes,
        sha256=fetched.sha256,
        etag=fetched.etag,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    try:
        write_record(path, record)
    except OSError as error:
        raise CheckpointError(
            f"{record_path(path)} cannot be written ({error.strerror}): "
            "set SEG_MODELS_DIR to a folder that is yours to write to"
        ) from error
    _log.warning(
        "No hash of %s is published, so nobody has vouched for this file; its own (sha256 %s, "
        "%d bytes) is recorded in %s, and the file is held to that from now on",
        entry.name,
        fetched.sha256,
        fetched.bytes,
        record_path(path),
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the file's lock, which the operating system frees if this process dies."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CheckpointError(
            f"{path.parent} cannot be written ({error.strerror}): "
            "set SEG_MODELS_DIR to a folder that is yours to write to"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.warning("Another process is downloading %s; waiting for it", path.name)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # closing frees the lock
