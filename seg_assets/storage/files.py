"""What the store asks of a place that keeps files, and sentences for what may go wrong there."""

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from seg_assets.errors import StoreError

_ADVICE = {
    errno.ENOSPC: "no space is left; free some and run again",
    errno.EDQUOT: "the disk quota is used up; free some and run again",
    errno.EACCES: "permission is denied; allow writing there or choose another store",
    errno.EPERM: "permission is denied; allow writing there or choose another store",
    errno.EROFS: "it is read-only; choose another store",
    errno.ENOTDIR: "a file stands where a folder should be; remove it or choose another store",
    errno.EEXIST: "a file stands where a folder should be; remove it or choose another store",
    errno.ENOENT: "it does not exist; create the bucket or folder, or choose another store",
}


class Files(Protocol):
    """A place that keeps files; paths are relative, with `/`.

    A missing file is FileNotFoundError, all else that goes wrong is a StoreError.
    """

    def location(self, path: str) -> str:
        """Return where the path lies, for messages and for other readers."""
        ...

    def exists(self, path: str) -> bool:
        """Whether a file lies there."""
        ...

    def size(self, path: str) -> int:
        """Return the bytes of a file."""
        ...

    def open(self, path: str) -> pa.NativeFile:
        """Open a file for random reading."""
        ...

    def read(self, path: str) -> bytes:
        """Read a whole file."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Write a whole file; it appears complete or not at all."""
        ...

    def list_files(self, folder: str) -> list[str]:
        """Return the sorted names of the files right inside a folder; [] if there is none."""
        ...

    def list_folders(self, folder: str) -> list[str]:
        """Return the sorted names of the folders right inside a folder; [] if there is none."""
        ...

    def scratch_file(self, path: str) -> Path:
        """Return a local path to build the file in before `publish`."""
        ...

    def publish(self, scratch: Path, path: str) -> None:
        """Turn a finished scratch file into the file; it appears complete or not at all."""
        ...

    def move(self, source: str, target: str) -> None:
        """Move one file, replacing the target."""
        ...

    def swap_folders(self, fresh: str, current: str) -> bool:
        """Put folder `fresh` in the place of `current` in one step; the old one moves to `fresh`.

        Returns:
            False, with nothing done, where no such step exists.
        """
        ...

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        ...

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all it holds, if it is there."""
        ...

    def lock(self, path: str, owner: str) -> AbstractContextManager[None]:
        """Hold a lock until the end of the block or of the process.

        Raises:
            StoreError: somebody else holds it; the message names the owner.
        """
        ...


@contextmanager
def explained(doing: str, location: str) -> Iterator[None]:
    """Turn an operating system's error into a StoreError that says what to do.

    Raises:
        StoreError: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        reason = _ADVICE.get(number) or error.strerror or str(error) or type(error).__name__
        raise StoreError(f"cannot {doing} {location}: {reason}") from error


@contextmanager
def explained_unless_missing(doing: str, location: str) -> Iterator[None]:
    """Do as `explained`, but let FileNotFoundError pass: the caller knows what it means."""
    try:
        with explained(doing, location):
            yield
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise error.__cause__ from None
        raise
