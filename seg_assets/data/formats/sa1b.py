"""SA-1B: tar files of sa_<number>.jpg and .json, or a folder of the unpacked files.

An image inside a tar is read where it lies, by byte range; nothing is unpacked and no name of a tar
member ever becomes a path of this machine.
"""

import logging
import os
import re
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, cast

from seg_assets.data.files import Folder, StorageOptions, open_folder, unanswered
from seg_assets.data.formats.folder import image_ids, is_image_name, references
from seg_assets.data.shards import ImageRef
from seg_assets.errors import InputError

logger = logging.getLogger(__name__)

TAR_SUFFIX = ".tar"
_IMAGE_ID = re.compile(r"(?:.*/)?sa_(\d+)")
_LOOSE_IMAGE = re.compile(r"(?:.*/)?sa_\d+\.jpg", re.IGNORECASE)
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"(\xb5": "zstd"}
_BLOCK = tarfile.BLOCKSIZE

# Headers lie hundreds of kilobytes apart: over a network, read little more than a header at a time.
_READ_AHEAD = 16 * 1024


@dataclass(frozen=True)
class Sa1bFiles:
    """What a source holds of SA-1B.

    Attributes:
        tars: name relative to the source, without extension -> URL; sorted by name.
        loose: the unpacked images, sorted by image id.
    """

    tars: dict[str, str]
    loose: list[ImageRef]


def find_sa1b_files(
    source: str | os.PathLike[str], storage_options: StorageOptions = None
) -> Sa1bFiles:
    """Find the tar files and the unpacked images below a folder, or the one tar that `source` is.

    Raises:
        InputError: nothing of SA-1B is there.
        StoreError: the storage does not answer.
    """
    folder = open_folder(source, storage_options)
    kind = folder.kind()
    if kind is None:
        raise InputError(f"{source} is not there: give a folder or a tar file that exists")
    if kind == "file":
        folder, listed = folder.parent, [folder.name]
    else:
        listed = sorted(folder.files())
    tars = [name for name in listed if is_tar_name(name)]
    loose = [name for name in listed if _LOOSE_IMAGE.fullmatch(name)]
    if not tars and not loose:
        raise InputError(
            f"{source} holds neither tar files nor sa_<number>.jpg: give a tar or folder of SA-1B"
        )
    return Sa1bFiles(
        {name[: -len(TAR_SUFFIX)]: folder.uri_of(folder.child(name)) for name in tars},
        references(folder, loose),
    )


def is_tar_name(name: str) -> bool:
    """Whether a file name ends in .tar, in upper or lower case."""
    return name.lower().endswith(TAR_SUFFIX)


def sa1b_number(image_id: str) -> int | None:
    """The number that SA-1B gives the image of this id; None if it is not one of SA-1B."""
    found = _IMAGE_ID.fullmatch(image_id)
    return None if found is None else int(found[1])


def find_tar_images(
    uri: str | os.PathLike[str], *, storage_options: StorageOptions = None
) -> list[ImageRef]:
    """Read the table of a tar file once: where each image in it begins and how long it is.

    Members are left out and chosen as by `find_tar_files`.

    Args:
        uri: an uncompressed tar file, on this machine or under an fsspec URL.
        storage_options: keyword arguments of the fsspec file system.

    Returns:
        One reference per image, sorted by image id.

    Raises:
        InputError: not a tar file, compressed, empty, truncated, or without images.
    """
    files = find_tar_files(uri, is_image_name, storage_options=storage_options)
    if not files:
        raise InputError(f"{uri} holds no images: give a tar file with .jpg members")
    logger.info("%s: %d images", uri, len(files))
    return [
        ImageRef(image_id, files[name].uri, files[name].offset, files[name].size)
        for image_id, name in image_ids(files).items()
    ]


def find_tar_files(
    uri: str | os.PathLike[str],
    wanted: Callable[[str], bool],
    *,
    storage_options: StorageOptions = None,
) -> dict[str, ImageRef]:
    """Read the table of a tar file once: where the wanted members lie.

    Links, sparse files, absolute names and names with ".." are left out; of two members with one
    name the later counts, as it does for tar itself. A warning tells of either.

    Args:
        uri: an uncompressed tar file, on this machine or under an fsspec URL.
        wanted: tells by a member's name whether it is asked for; hidden members never are.
        storage_options: keyword arguments of the fsspec file system.

    Returns:
        name -> reference, whose image id is the name, in the order of the tar.

    Raises:
        InputError: not a tar file, compressed, empty or truncated.
    """
    folder = open_folder(uri, storage_options)
    members = _read_table(folder, os.fspath(uri))
    named: dict[str, tarfile.TarInfo] = {}
    refused: list[str] = []
    repeated: list[str] = []
    for member in members:
        name = re.sub(r"^(\./+)+", "", member.name)
        if not wanted(name) or name.rsplit("/", 1)[-1].startswith("."):
            continue
        if not member.isreg() or member.issparse() or not _is_plain(name):
            refused.append(member.name)
            continue
        if name in named:
            repeated.append(name)
        named[name] = member
    _warn(uri, refused, "are links, sparse or have unsafe names and are left out")
    _warn(uri, repeated, "occur more than once; the last of each counts")
    location = folder.uri_of(folder.path)
    return {
        name: ImageRef(name, location, member.offset_data, member.size)
        for name, member in named.items()
    }


def _read_table(folder: Folder, uri: str) -> list[tarfile.TarInfo]:
    if folder.kind() != "file":
        raise InputError(f"{uri} is not there: give a tar file that exists")
    # only a remote file is buffered by fsspec; a local one does not know the option
    options = {} if folder.is_local else {"block_size": _READ_AHEAD}
    try:
        opened = folder.filesystem.open(folder.path, "rb", **options)
    except PermissionError as error:
        raise InputError(f"{uri} may not be read: give this user access to it") from error
    except Exception as error:  # every file system has its own errors for a failed connection
        raise unanswered(uri, error) from error
    with opened:
        try:
            return _read_headers(cast(IO[bytes], opened), uri)
        except InputError:
            raise
        except Exception as error:  # as above
            raise unanswered(uri, error) from error


def _read_headers(file: IO[bytes], uri: str) -> list[tarfile.TarInfo]:
    """Read all headers and make sure that the tar is complete up to its end marker."""
    start = file.read(_BLOCK)
    if not start:
        raise InputError(f"{uri} is empty (0 bytes): fetch it again")
    for magic, compression in _COMPRESSED.items():
        if start.startswith(magic):
            raise InputError(
                f"{uri} is compressed with {compression}, so its images cannot be read in "
                "place: decompress it first"
            )
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            members = tar.getmembers()
            end = tar.offset
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise InputError(
            f"{uri} is not a tar file, or is truncated or damaged ({error}): fetch it again"
        ) from error
    file.seek(end)
    # tarfile takes any unreadable header for the end; a whole tar ends in blocks of zeros
    if file.read(_BLOCK) != bytes(_BLOCK):
        raise InputError(
            f"{uri} is truncated or damaged at byte {end}, after {len(members)} members: "
            "fetch it again"
        )
    return members


def _is_plain(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not any(part in ("", ".", "..") for part in name.split("/"))


def _warn(uri: str | os.PathLike[str], names: Sequence[str], what: str) -> None:
    if names:
        some = ", ".join(repr(name) for name in names[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        logger.warning("%s: the members %s%s %s", uri, some, more, what)
