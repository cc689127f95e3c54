"""What can be said about a weights file without opening it as weights: hash, kind, record."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from seg_assets.errors import CheckpointError

_CHUNK = 1 << 22
_NOT_WEIGHTS = {
    b"<": "is a web page",
    b"version https://git-lfs": "is a Git LFS pointer",
    b"{": "is a JSON text",
}


@dataclass(frozen=True)
class WeightsRecord:
    """What a download got, kept beside the file where no hash is public.

    Attributes:
        url: Where it came from; empty for a file that was put there by hand.
        bytes: Size of the file.
        sha256: Hash of the file, 64 hex digits.
        etag: The server's version mark, or None.
        date: Day of the recording, ISO 8601.
    """

    url: str
    bytes: int
    sha256: str
    etag: str | None
    date: str


def record_path(weights: Path) -> Path:
    """Path of the record of `weights`."""
    return weights.with_name(weights.name + ".lock.json")


def read_record(weights: Path) -> WeightsRecord | None:
    """The record beside `weights`, or None where there is none.

    Raises:
        CheckpointError: The record is damaged.
    """
    path = record_path(weights)
    try:
        return WeightsRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"the record {path} is damaged: delete it and run `seg-assets models verify`"
        ) from error


def write_record(weights: Path, record: WeightsRecord) -> None:
    """Write the record of `weights` as a whole."""
    path = record_path(weights)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def sha256_of(path: Path) -> str:
    """SHA-256 of the file, 64 hex digits.

    Raises:
        CheckpointError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def check_hash(path: Path, published: str | None) -> tuple[str, str | None]:
    """Hash the file and hold it against the published hash, or else the recorded one.

    Returns:
        The file's SHA-256, and the one it was held against (None where nothing is known).

    Raises:
        CheckpointError: They differ, or the file cannot be read.
    """
    found = sha256_of(path)
    expected = published
    if expected is None and (record := read_record(path)) is not None:
        expected = record.sha256
    if expected is not None and found != expected.lower():
        refuse_other_files(path)
        raise CheckpointError(
            f"{path} is damaged or another file: its sha256 is {found}, expected {expected}; "
            "get it anew with `seg-assets models download --force NAME`"
        )
    return found, expected


def other_kind(path: Path) -> str | None:
    """What the file is, where servers and version control left something else than weights.

    Returns:
        Half a sentence ("is a web page"), or None if it may be a weights file.

    Raises:
        CheckpointError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64).lstrip()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        return "is empty"
    return next((what for start, what in _NOT_WEIGHTS.items() if head.startswith(start)), None)


def refuse_other_files(path: Path) -> None:
    """Raise CheckpointError where the file is empty, a web page, JSON or a Git LFS pointer."""
    kind = other_kind(path)
    if kind is not None:
        raise CheckpointError(
            f"{path} {kind}, not a weights file: "
            "get it anew with `seg-assets models download --force NAME`"
        )
