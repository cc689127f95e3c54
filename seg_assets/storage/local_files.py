"""Files on a local disk: fsync and rename make every step all or nothing."""

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from seg_assets.errors import StoreError
from seg_assets.storage.files import explained, explained_unless_missing

# renameat2(2): exchange two paths; -100 stands for the current directory.
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV}


class LocalFiles:
    """Files below one folder of a POSIX file system. Implements `files.Files`."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def location(self, path: str) -> str:
        """Return the absolute path."""
        return str(self.root / path)

    def exists(self, path: str) -> bool:
        """Whether a file lies there."""
        with explained("look at", self.location(path)):
            return (self.root / path).is_file()

    def size(self, path: str) -> int:
        """Return the bytes of a file."""
        with explained_unless_missing("look at", self.location(path)):
            return (self.root / path).stat().st_size

    def open(self, path: str) -> pa.NativeFile:
        """Open a file for random reading."""
        with explained_unless_missing("read", self.location(path)):
            return pa.OSFile(str(self.root / path), "rb")

    def read(self, path: str) -> bytes:
        """Read a whole file."""
        with explained_unless_missing("read", self.location(path)):
            return (self.root / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """Write a whole file through a temporary name."""
        scratch = self.scratch_file(path)
        try:
            with explained("write", self.location(path)):
                scratch.write_bytes(data)
            self.publish(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)

    def list_files(self, folder: str) -> list[str]:
        """Return the sorted names of the files right inside a folder."""
        return sorted(entry.name for entry in self._entries(folder) if entry.is_file())

    def list_folders(self, folder: str) -> list[str]:
        """Return the sorted names of the folders right inside a folder."""
        return sorted(entry.name for entry in self._entries(folder) if entry.is_dir())

    def _entries(self, folder: str) -> list[Path]:
        with explained("list", self.location(folder)):
            try:
                return list((self.root / folder).iterdir())
            except FileNotFoundError:
                return []

    def scratch_file(self, path: str) -> Path:
        """Return a hidden name beside the file: a rename there stays on one disk."""
        target = self.root / path
        with explained("create the folder of", str(target)):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target.with_name(f".{target.name}.{os.getpid()}.tmp")

    def publish(self, scratch: Path, path: str) -> None:
        """Bring the scratch file to the disk, then rename it."""
        target = self.root / path
        with explained("write", str(target)):
            _sync(scratch)
            scratch.replace(target)
            _sync(target.parent)

    def move(self, source: str, target: str) -> None:
        """Rename one file."""
        with explained("write", self.location(target)):
            (self.root / target).parent.mkdir(parents=True, exist_ok=True)
            (self.root / source).replace(self.root / target)
            _sync((self.root / target).parent)

    def swap_folders(self, fresh: str, current: str) -> bool:
        """Rename a folder into a free place, or let two folders change places."""
        source, target = self.root / fresh, self.root / current
        with explained("replace", str(target)):
            _sync(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.rename(target)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
                if not _exchange(source, target):
                    return False
            _sync(target.parent)
            _sync(source.parent)
        return True

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with explained("remove", self.location(path)):
            (self.root / path).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all it holds, if it is there."""
        with explained("remove", self.location(folder)):
            if (self.root / folder).exists():
                shutil.rmtree(self.root / folder)

    @contextmanager
    def lock(self, path: str, owner: str) -> Iterator[None]:
        """Hold a lock that the operating system frees when the process dies."""
        target = self.root / path
        with explained("lock", str(target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = _lock(target)
        if descriptor is None:
            raise StoreError(f"{owner} is being written by another process: wait for it or stop it")
        try:
            yield
        finally:
            target.unlink(missing_ok=True)
            # A forked child may share the descriptor: unlock it for all, do not just close it.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _lock(path: Path) -> int | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # The last holder may have removed the file between our open and our lock.
        try:
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(first: Path, second: Path) -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    paths = (os.fsencode(first), os.fsencode(second))
    if (renameat2 := getattr(library, "renameat2", None)) is not None:  # Linux
        status = renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)
    elif (renamex := getattr(library, "renamex_np", None)) is not None:  # macOS
        status = renamex(*paths, _RENAME_EXCHANGE)
    else:
        return False
    if status == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(second))
