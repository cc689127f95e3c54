"""Files in an object store (s3:// and any other fsspec URL): whole objects, copied and listed."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
from fsspec.core import url_to_fs

from seg_assets.errors import StoreError
from seg_assets.storage.files import explained, explained_unless_missing

# s3fs sends ten pieces at a time: 80 MB in memory, and objects of up to 80 GB.
_UPLOAD_OPTIONS = {"s3": {"chunksize": 8 * 2**20}}


class ObjectFiles:
    """Objects below one URL. Implements `files.Files`."""

    def __init__(self, url: str, storage_options: Mapping[str, Any]) -> None:
        self.url = url
        # A cached listing would hide what another process has written meanwhile.
        options = {"use_listings_cache": False, **storage_options}
        with explained("open", url), self._client_errors("open", ""):
            self.filesystem, root = url_to_fs(url, **options)
        self.root = root.rstrip("/")
        self.upload_options = _UPLOAD_OPTIONS.get(url.partition("://")[0], {})

    def location(self, path: str) -> str:
        """Return the URL."""
        return f"{self.url}/{path}"

    def _key(self, path: str) -> str:
        return f"{self.root}/{path}"

    @contextmanager
    def _client_errors(self, doing: str, path: str) -> Iterator[None]:
        try:
            yield
        except (OSError, StoreError):
            raise
        except Exception as error:
            # Clients of object stores have no common base for their errors (botocore's own are
            # neither OSError nor of one another's family), and a user must see one sentence.
            raise StoreError(
                f"cannot {doing} {self.location(path)}: {error}; "
                f"check the URL, the endpoint and the credentials"
            ) from error

    @contextmanager
    def _reading(self, doing: str, path: str) -> Iterator[None]:
        with explained_unless_missing(doing, self.location(path)), self._client_errors(doing, path):
            yield

    @contextmanager
    def _writing(self, doing: str, path: str) -> Iterator[None]:
        with explained(doing, self.location(path)), self._client_errors(doing, path):
            yield

    def exists(self, path: str) -> bool:
        """Whether an object lies there."""
        try:
            self.size(path)
        except FileNotFoundError:
            return False
        return True

    def size(self, path: str) -> int:
        """Return the bytes of an object."""
        with self._reading("look at", path):
            return self.filesystem.info(self._key(path))["size"]

    def open(self, path: str) -> pa.NativeFile:
        """Open an object for random reading: each read is one ranged request."""
        with self._reading("read", path):
            file = self.filesystem.open(self._key(path), "rb", cache_type="none")
        return pa.PythonFile(file, mode="r")

    def read(self, path: str) -> bytes:
        """Read a whole object."""
        with self._reading("read", path):
            return self.filesystem.cat_file(self._key(path))

    def write(self, path: str, data: bytes) -> None:
        """Write a whole object in one request."""
        with self._writing("write", path):
            self.filesystem.pipe_file(self._key(path), data)

    def list_files(self, folder: str) -> list[str]:
        """Return the sorted names of the objects right below a prefix."""
        return self._list(folder, "file")

    def list_folders(self, folder: str) -> list[str]:
        """Return the sorted names of the prefixes right below a prefix."""
        return self._list(folder, "directory")

    def _list(self, folder: str, kind: str) -> list[str]:
        try:
            with self._reading("list", folder):
                entries = self.filesystem.ls(self._key(folder), detail=True)
        except FileNotFoundError:
            return []
        names = (entry["name"].rstrip("/") for entry in entries if entry["type"] == kind)
        return sorted(name.rpartition("/")[2] for name in names if name != self._key(folder))

    def scratch_file(self, path: str) -> Path:
        """Return a name in the machine's temporary folder."""
        folder = tempfile.gettempdir()
        with explained("create a temporary file in", folder):
            descriptor, name = tempfile.mkstemp(prefix="seg_assets-", dir=folder)
            os.close(descriptor)
        return Path(name)

    def publish(self, scratch: Path, path: str) -> None:
        """Upload the scratch file; the object appears when the last byte has arrived."""
        with self._writing("write", path):
            self.filesystem.put_file(str(scratch), self._key(path), **self.upload_options)
        scratch.unlink()

    def move(self, source: str, target: str) -> None:
        """Copy inside the store, then remove the source."""
        with self._writing("write", target):
            self.filesystem.cp_file(self._key(source), self._key(target))
            self.filesystem.rm_file(self._key(source))

    def swap_folders(self, fresh: str, current: str) -> bool:
        """Return False: an object store has no folders, only names of objects."""
        return False

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        with self._writing("remove", path):
            if self.exists(path):
                self.filesystem.rm_file(self._key(path))

    def remove_folder(self, folder: str) -> None:
        """Remove all objects below a prefix."""
        with self._writing("remove", folder):
            if keys := self.filesystem.find(self._key(folder)):
                self.filesystem.rm(keys)

    def lock(self, path: str, owner: str) -> AbstractContextManager[None]:
        """Return no lock: object stores offer none that all of them share, see docs/storage.md."""
        return nullcontext()
