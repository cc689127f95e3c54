"""Files behind any fsspec URL: a folder of this machine, s3://bucket/prefix and the like."""

import errno
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import fsspec
from fsspec.core import split_protocol

from seg_assets.errors import ImageError, InputError, StoreError

logger = logging.getLogger(__name__)

StorageOptions = Mapping[str, Any] | None


@dataclass(frozen=True)
class Folder:
    """A folder on some file system, or a file where a source may be either.

    Attributes:
        filesystem: the fsspec file system.
        path: the path in the file system's own terms, without a trailing slash.
    """

    filesystem: fsspec.AbstractFileSystem
    path: str

    @property
    def is_local(self) -> bool:
        """Whether the files lie on this machine."""
        return "file" in _protocols(self.filesystem)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def parent(self) -> "Folder":
        """The folder that this file or folder lies in."""
        return Folder(self.filesystem, self.path.rpartition("/")[0])

    def uri_of(self, path: str) -> str:
        """The URL that finds `path` again from anywhere: plain and absolute on this machine."""
        return path if self.is_local else str(self.filesystem.unstrip_protocol(path))

    def child(self, name: str) -> str:
        """Path of the file `name` (with slashes) below this folder."""
        return f"{self.path}/{name}"

    def kind(self, path: str | None = None) -> Literal["file", "folder"] | None:
        """What lies at `path`, by default at the folder's own path; None for nothing.

        Raises:
            InputError: a folder on the way may not be read.
            StoreError: the storage does not answer.
        """
        asked = self.path if path is None else path
        try:
            found = self.filesystem.info(asked)["type"]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise _forbidden(self.uri_of(asked)) from error
        except Exception as error:  # every file system has its own errors for a failed connection
            raise unanswered(self.uri_of(asked), error) from error
        return "folder" if found == "directory" else "file"

    def top_files(self) -> list[str]:
        """Names of the files that lie directly in the folder, sorted; raises as `files`."""
        entries = self._entries(self.path)
        return sorted(str(e["name"]).rsplit("/", 1)[-1] for e in entries if e["type"] == "file")

    def top_folders(self) -> list[str]:
        """Names of the folders that lie directly in the folder, sorted; raises as `files`."""
        entries = self._entries(self.path)
        names = (str(e["name"]).rstrip("/") for e in entries if e["type"] == "directory")
        return sorted(name.rsplit("/", 1)[-1] for name in names if name != self.path)

    def files(self) -> Iterator[str]:
        """Names of all files below the folder, relative to it, in no particular order.

        Names with a part that starts with a dot are left out. Links to files are followed, links to
        folders are not (they may run in circles); a warning names them.

        Raises:
            InputError: a folder may not be read, or a name is not valid UTF-8.
            StoreError: the storage does not answer.
        """
        waiting = [self.path]
        while waiting:
            folder = waiting.pop()
            for entry in self._entries(folder):
                path = str(entry["name"]).rstrip("/")
                name = path.rsplit("/", 1)[-1]
                if path == folder or name.startswith("."):
                    continue
                if entry["type"] == "directory":
                    waiting.append(path)
                elif entry.get("islink") and self.filesystem.isdir(path):
                    logger.warning("%s is a link to a folder and is not followed", path)
                elif entry["type"] == "file" or entry.get("islink"):  # no pipes, no devices
                    yield _checked_name(path[len(self.path) + 1 :], self.path)

    def _entries(self, folder: str) -> list[dict[str, Any]]:
        try:
            return list(self.filesystem.ls(folder, detail=True))
        except PermissionError as error:
            raise _forbidden(self.uri_of(folder)) from error
        except Exception as error:  # every file system has its own errors for a failed connection
            raise unanswered(self.uri_of(folder), error) from error


def open_folder(uri: str | os.PathLike[str], storage_options: StorageOptions = None) -> Folder:
    """Find the file system of a URL or path; nothing is read yet.

    Args:
        uri: a local path, absolute or not, or an fsspec URL such as s3://bucket/prefix.
        storage_options: keyword arguments of the fsspec file system (endpoint, credentials).

    Raises:
        InputError: the URL's protocol is unknown or needs a package that is not installed.
    """
    # not fsspec's own url_to_fs: it would cut a local name at "::"
    protocol, _ = split_protocol(os.fspath(uri))
    try:
        # a cached listing would hide what has come since
        options = {"use_listings_cache": False, **(storage_options or {})}
        filesystem = fsspec.filesystem(protocol or "file", **options)
    except (ValueError, ImportError) as error:
        raise InputError(
            f"{os.fspath(uri)} cannot be opened ({error}): use a local path or an s3:// URL"
        ) from error
    # a local path is made absolute here, so that a shard is found again from any working directory
    path = str(filesystem._strip_protocol(os.fspath(uri)))
    return Folder(filesystem, path.rstrip("/") or "/")


def read_bytes(
    uri: str,
    offset: int | None = None,
    size: int | None = None,
    storage_options: StorageOptions = None,
) -> bytes:
    """Read a file, or the `size` bytes of it that start at `offset`.

    Args:
        uri: a local path or an fsspec URL.
        offset: first byte, for an image inside a tar file; None for the whole file.
        size: number of bytes; None for all up to the end.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        ImageError: this file is missing, may not be read, or ends too early.
        StoreError: the storage does not answer or refuses us (an expired token looks like this): a
            fault of the moment, not of this image.
        InputError: the URL's protocol is unknown.
    """
    folder = open_folder(uri, storage_options)
    start = offset or 0
    stop = None if size is None else start + size
    if size == 0:  # an empty range has no form in HTTP
        return b""
    try:
        if start == 0 and stop is None:
            data = cast(bytes, folder.filesystem.cat_file(folder.path))
        else:
            data = cast(bytes, folder.filesystem.cat_file(folder.path, start=start, end=stop))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ImageError(
            f"{uri} is not there: put the file back or register its shard again"
        ) from error
    except Exception as error:  # every file system has its own errors for a failed connection
        if isinstance(error, PermissionError) and folder.is_local:
            raise ImageError(f"{uri} may not be read: give this user access to it") from error
        # S3's answer to a range that begins behind the end; local files give no bytes instead
        if not (isinstance(error, OSError) and error.errno == errno.EINVAL and start > 0):
            raise unanswered(uri, error) from error
        data = b""
    if size is not None and len(data) != size:
        raise ImageError(
            f"{uri} ends before byte {stop}: it has changed or is truncated, "
            "fetch it again and register its shard again"
        )
    return data


def _protocols(filesystem: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _checked_name(name: str, folder: str) -> str:
    """Refuse a name that no table could hold; such names come from other encodings."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the file {os.fsencode(name)!r} in {folder} has a name that is not valid UTF-8: "
            "rename it"
        ) from error
    return name


def _forbidden(uri: str) -> InputError:
    return InputError(f"{uri} may not be read: give this user access to it")


def unanswered(uri: str, error: Exception) -> StoreError:
    """Word a fault of the storage or of the way to it, which is no fault of a file."""
    return StoreError(
        f"{uri} cannot be read ({type(error).__name__}: {error}): "
        "check the connection, the endpoint and the credentials, then run again"
    )
