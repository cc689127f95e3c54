"""The folder of an export: written under a hidden name, put in place when it is whole."""

import os
import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from seg_assets.errors import InputError
from seg_assets.storage.files import explained
from seg_assets.storage.local_files import LocalFiles

MARK = "export.json"
"""Written last; a folder that holds it was made by an export and may be replaced."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # a pathlib.Path of s3://x is s3:/x


class ExportFolder:
    """A folder that appears whole or not at all; use it as a context manager.

    Leaving the block without an error puts it in place, also where an older export is replaced.
    After an error nothing has changed. A kill leaves a hidden folder beside it that the next export
    to the same place removes.

    Args:
        out: the folder.
        overwrite: whether an earlier export may be replaced.

    Raises:
        InputError: (on entering) it is a URL, holds something already and may not be replaced, or
            holds something that no export has made.
        StoreError: (on entering and later) another process writes it, or the disk refuses.
    """

    def __init__(self, out: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        if _URL.match(os.fspath(out)):
            raise InputError(f"{out} is no folder of this machine: export to one and copy it there")
        self.out = Path(out).absolute()
        self._overwrite = overwrite
        self._files = LocalFiles(str(self.out.parent))
        self._hidden = f".{self.out.name}.unfinished"
        self._made: set[Path] = set()
        self._stack = ExitStack()

    @property
    def hidden(self) -> Path:
        """Where the files are written."""
        return self.out.parent / self._hidden

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._check_free()
            owner = f"the export {self.out}"
            stack.enter_context(self._files.lock(f".{self.out.name}.lock", owner))
            self._files.remove_folder(self._hidden)
            with explained("create", str(self.hidden)):
                self.hidden.mkdir(parents=True)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if kind is None:
                self._publish()
            else:
                self._files.remove_folder(self._hidden)

    def path(self, name: str) -> Path:
        """Where to write a file, given relative to the folder with `/`; its folder is there."""
        path = self.hidden / name
        if path.parent not in self._made:
            with explained("create the folder of", str(self.out / name)):
                path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        return path

    def write(self, name: str, data: bytes) -> None:
        """Write a file, given relative to the folder with `/`.

        Raises:
            StoreError: the disk refuses.
        """
        path = self.path(name)
        with explained("write", str(self.out / name)):
            path.write_bytes(data)

    def _check_free(self) -> None:
        with explained("look at", str(self.out)):
            if not self.out.exists():
                return
            if not self.out.is_dir():
                raise InputError(f"{self.out} is a file: choose another --out")
            if not any(self.out.iterdir()):
                return
            if not (self.out / MARK).is_file():
                raise InputError(
                    f"{self.out} holds something that no export has made: choose another --out"
                )
        if not self._overwrite:
            raise InputError(
                f"{self.out} holds an export already: choose another --out, or replace it with "
                "--overwrite"
            )

    def _publish(self) -> None:
        if not self._files.swap_folders(self._hidden, self.out.name):
            # no exchange in one step here: for a moment there is no such folder
            self._files.remove_folder(self.out.name)
            self._files.swap_folders(self._hidden, self.out.name)
        self._files.remove_folder(self._hidden)
