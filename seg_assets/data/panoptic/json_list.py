"""A JSON list that grows on disk instead of in memory."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any


class JsonList:
    """Elements of a JSON list, one per line, kept in a nameless file: they may be millions.

    A context manager: the file is gone when the block is left.

    Args:
        folder: where the file lies while it is open.
    """

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed on exit
        self._empty = True

    def __enter__(self) -> "JsonList":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, element: Mapping[str, Any]) -> None:
        """Append an object."""
        if not self._empty:
            self._file.write(b",\n")
        self._empty = False
        self._file.write(json.dumps(element, ensure_ascii=False).encode())

    def copy_to(self, target: IO[bytes]) -> None:
        """Write the elements, without the brackets around them."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, target)


def write_json_object(path: Path, sections: Mapping[str, Any]) -> None:
    """Write a JSON object to a file and bring it to the disk.

    Args:
        path: the file.
        sections: at least one value by its key; those that are a `JsonList` are copied, not loaded.
    """
    with path.open("wb") as target:
        between = "{"
        for key, value in sections.items():
            target.write(f"{between}{json.dumps(key)}: ".encode())
            between = ",\n"
            if isinstance(value, JsonList):
                target.write(b"[\n")
                value.copy_to(target)
                target.write(b"\n]")
            else:
                target.write(json.dumps(value, ensure_ascii=False).encode())
        target.write(b"}\n")
        target.flush()
        os.fsync(target.fileno())
