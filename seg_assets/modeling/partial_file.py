"""The file that a download grows in, and the note that says what it is a part of."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

PARTIAL_SUFFIX = ".part"
"""What a file is called while it grows: its name and this."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Mark:
    """Which version of the server's file the partial one belongs to."""

    url: str
    total: int | None
    etag: str | None


class PartialFile:
    """The partial file, its running hash and its mark.

    Attributes:
        path: The partial file.
        size: Its bytes so far.
        digest: Their running SHA-256.
        mark: The version it belongs to; None before the first answer of the server.
    """

    def __init__(self, path: Path) -> None:
        """Take up what an earlier download left at `path`, where its mark is whole."""
        self.path = path
        self.mark_path = path.with_name(path.name + ".json")
        self.digest = hashlib.sha256()
        self.size = 0
        self.mark = self._read_mark()
        if self.mark is not None and path.is_file():
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    self.digest.update(chunk)
                    self.size += len(chunk)

    def start(self, mark: Mark) -> None:
        """Empty the file for a new version."""
        self.discard()
        self.mark_path.write_text(json.dumps(asdict(mark)), encoding="utf-8")
        self.mark = mark

    def append(self, file: BinaryIO, chunk: bytes) -> None:
        """Write the next bytes to the open file."""
        file.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)

    def finish(self, target: Path) -> None:
        """Put the file in its place."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self.mark_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the file and its mark."""
        self.path.unlink(missing_ok=True)
        self.mark_path.unlink(missing_ok=True)
        self.digest, self.size, self.mark = hashlib.sha256(), 0, None

    def _read_mark(self) -> Mark | None:
        try:
            return Mark(**json.loads(self.mark_path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None  # no mark, or half of one: what lies there cannot be trusted, start over
