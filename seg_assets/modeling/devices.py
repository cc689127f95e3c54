"""Device slots: which GPU or CPU a process may use, leased through a lock of the operating system.

A slot is a file. Whoever holds its lock has the device; the lock falls when the process ends, in
whatever way it ends, so nothing has to be cleaned up after a crash.
"""

import fcntl
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seg_assets.errors import InputError, StoreError

logger = logging.getLogger(__name__)

DEVICES_VARIABLE = "SEG_DEVICES"
RETRY_SECONDS = 0.2
REPORT_SECONDS = 30.0


@dataclass(frozen=True)
class Slot:
    """One place for one process on one device, such as slot 1 of "cuda:0"."""

    device: str
    index: int

    @property
    def name(self) -> str:
        """The slot as a file name: "cuda-0.1"."""
        return f"{self.device.replace(':', '-')}.{self.index}"


def parse_devices(text: str, processes_per_device: int = 1) -> list[Slot]:
    """Read a list of devices.

    Args:
        text: "" for every CUDA device there is, else the CPU; or devices with commas between them:
            "cuda:0,cuda:1"; "cpu"; "cpu:4" for four CPU slots.
        processes_per_device: slots of each CUDA device.

    Raises:
        InputError: a name is neither "cpu", "cpu:N", "cuda" nor "cuda:N".
    """
    names = [part.strip() for part in text.split(",") if part.strip()] or _all_devices()
    slots: list[Slot] = []
    for name in names:
        match = re.fullmatch(r"(cpu|cuda)(?::(\d+))?", name)
        if match is None:
            raise InputError(
                f"{name!r} in {DEVICES_VARIABLE} is no device; write cpu, cpu:4 (four slots), "
                "or cuda:0,cuda:1"
            )
        kind, number = match.groups()
        if kind == "cpu":
            device, count = "cpu", int(number or 1)
        else:
            device, count = f"cuda:{int(number or 0)}", processes_per_device
        taken = sum(slot.device == device for slot in slots)  # named twice: twice the slots
        slots += [Slot(device, taken + i) for i in range(count)]
    if not slots:
        raise InputError(f"{DEVICES_VARIABLE}={text!r} gives no slot; ask for one device at least")
    return slots


def _all_devices() -> list[str]:
    import torch  # noqa: PLC0415  # only where devices are really looked for

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]


def default_lock_dir() -> Path:
    """Folder of the lock files: one per user and machine, so that all runs share it."""
    return Path(tempfile.gettempdir()) / f"seg_assets-{os.getuid()}" / "slots"


def _open_lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(
            f"the lock file {path} cannot be written ({error.strerror}): "
            "set TMPDIR to a folder that is yours to write to"
        ) from error


@contextmanager
def lease(slots: Sequence[Slot], lock_dir: Path | None = None) -> Iterator[Slot]:
    """Wait for a free slot and hold it for as long as the block lasts.

    Raises:
        StoreError: the lock files cannot be written.
    """
    with lease_several(slots, 1, lock_dir) as held:
        yield held[0]


@contextmanager
def lease_several(
    slots: Sequence[Slot], count: int, lock_dir: Path | None = None
) -> Iterator[list[Slot]]:
    """Wait until so many slots are free at once, and hold them for as long as the block lasts.

    Of each CUDA device one slot at most is taken. While too few are free none is held, so that two
    who want several do not wait for each other.

    Raises:
        InputError: there are never so many.
        StoreError: the lock files cannot be written.
    """
    if _most(slots) < count:
        raise InputError(
            f"{count} devices are asked for and there are {_most(slots)}: set {DEVICES_VARIABLE}"
        )
    folder = lock_dir or default_lock_dir()
    waiting_since = reported = time.monotonic()
    while (held := _take(slots, count, folder)) is None:
        now = time.monotonic()
        if now - reported > REPORT_SECONDS:
            reported = now
            logger.info(
                "too few slots are free (of %d), waiting for %.0f s",
                len(slots),
                now - waiting_since,
            )
        time.sleep(RETRY_SECONDS)
    try:
        logger.info("leased %s", ", ".join(slot.name for slot in held))
        yield list(held)
    finally:
        _free(held)


def _take(slots: Sequence[Slot], count: int, folder: Path) -> dict[Slot, int] | None:
    """Lock so many slots, or none; returns their locks."""
    held: dict[Slot, int] = {}
    for slot in slots:
        if slot.device != "cpu" and slot.device in {other.device for other in held}:
            continue
        handle = _open_lock(folder / slot.name)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        held[slot] = handle
        if len(held) == count:
            return held
    _free(held)
    return None


def _free(held: Mapping[Slot, int]) -> None:
    for handle in held.values():
        os.close(handle)  # closing frees the lock


def _most(slots: Sequence[Slot]) -> int:
    cpu = sum(slot.device == "cpu" for slot in slots)
    return cpu + len({slot.device for slot in slots if slot.device != "cpu"})
