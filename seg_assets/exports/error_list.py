"""errors.csv of an export: the images that were left out, and why."""

import csv
from contextlib import ExitStack
from typing import IO

from seg_assets.exports.folder import ExportFolder
from seg_assets.storage.files import explained

ERRORS = "errors.csv"


class ErrorList:
    """Writes errors.csv, if an image is left out. A context manager: the file is closed on exit.

    Attributes:
        first: the first image that is left out, and why; empty while there is none.
    """

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._file: IO[str] | None = None
        self.first = ""

    def __enter__(self) -> "ErrorList":
        return self

    def __exit__(self, *error: object) -> None:
        with explained("write", str(self._folder.out / ERRORS)):
            self._stack.close()

    def add(self, shard: str, image_id: str, message: str) -> None:
        """Note an image that is left out.

        Raises:
            StoreError: the disk refuses.
        """
        self.first = self.first or f"{image_id} of shard {shard}: {message}"
        path = self._folder.path(ERRORS)
        with explained("write", str(self._folder.out / ERRORS)):
            if self._file is None:
                opened = path.open("w", newline="", encoding="utf-8")
                self._file = self._stack.enter_context(opened)
                self._file.write("shard,image_id,message\n")
            csv.writer(self._file, lineterminator="\n").writerow([shard, image_id, message])
            self._file.flush()
