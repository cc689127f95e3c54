"""From a source as a user names it (a folder, a tar, an s3:// prefix) to shards."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from seg_assets.data.files import StorageOptions, open_folder
from seg_assets.data.formats.camvid import LABEL_FORMAT, find_camvid_images, is_camvid
from seg_assets.data.formats.folder import find_folder_images, is_image_name
from seg_assets.data.formats.sa1b import find_sa1b_files, find_tar_images, is_tar_name
from seg_assets.data.ground_truth.coverage import cover
from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.shards import ImageRef, Shard, plan_shards, shard_name
from seg_assets.errors import InputError
from seg_assets.storage.names import check_name

FORMATS = ("auto", "folder", "sa1b", "camvid")

# Images of a shard cut from a folder: 10 to 30 minutes of work on one device.
DEFAULT_SHARD_SIZE = 256


def find_shards(
    source: str | os.PathLike[str],
    *,
    format: str = "auto",
    shard_size: int | None = None,
    prefix: str | None = None,
    label_root: str | os.PathLike[str] | None = None,
    label_format: str | None = None,
    truth: GroundTruth | None = None,
    limit: int | None = None,
    storage_options: StorageOptions = None,
) -> list[Shard]:
    """Find the images of a source and cut them into shards, the same every time.

    - folder: all images below a folder or an s3:// prefix, or a single image file; shards
      <prefix>_0000, ...
    - sa1b: each tar file is a shard named after it (sa_000001); the sa_<number>.jpg beside them are
      cut like a folder's.
    - camvid: a folder in CamVid's layout or one split's list in it; shards
      <prefix>_<split>_0000, ...

    Args:
        source: a local path or an fsspec URL.
        format: one of `FORMATS`; "auto" looks at the source.
        shard_size: most images in a shard; None for 256, and for one shard per tar file.
        prefix: beginning of the shards' names; None for the source's own name, "camvid", or nothing
            before a tar file's name.
        label_root: for a folder: where the ground truth lies; see docs/ground_truth.md.
        label_format: how it is written, see `label_maps`; None to look.
        truth: the ground truth, opened already, instead of those two.
        limit: take only the first images, in the order of the shards, for a trial.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: the source is missing, empty or damaged, or the options do not fit it.
        StoreError: the storage does not answer.
    """
    if format not in FORMATS:
        raise InputError(f"the format {format!r} is unknown: use one of {', '.join(FORMATS)}")
    if shard_size is not None and shard_size < 1:
        raise InputError(f"the shard size is {shard_size}: give at least 1")
    if limit is not None and limit < 1:
        raise InputError(f"the limit is {limit}: give at least 1 image or leave it out")
    if label_root is None and label_format is not None:
        raise InputError(
            "a label format says how labels are written: give the labels too, or leave it out"
        )
    if label_root is not None:
        truth = open_ground_truth(
            label_root, label_format or "auto", storage_options=storage_options
        )
    if prefix is not None:
        check_name(prefix, "shard")
    if format == "auto":
        format = _recognise(source, storage_options)
    if format != "folder" and truth is not None:
        raise InputError(f"labels cannot be given with the format {format}: use the format folder")
    if format == "sa1b":
        groups = _sa1b_groups(source, shard_size, prefix, storage_options)
    elif format == "camvid":
        groups = _camvid_groups(source, shard_size, prefix, storage_options)
    else:
        groups = _folder_groups(
            source,
            shard_size=shard_size,
            prefix=prefix,
            truth=truth,
            storage_options=storage_options,
        )
    return _plan(groups, limit)


class _Group(NamedTuple):
    """Images that are cut into shards together."""

    name: str
    images: list[ImageRef]
    shard_size: int | None
    label_format: str | None = None
    label_source: str | None = None


def _plan(groups: Iterator[_Group], limit: int | None) -> list[Shard]:
    """Cut each group into shards until the limit is reached; later groups are not even read."""
    shards: list[Shard] = []
    left = limit
    for group in groups:
        taken = sorted(group.images, key=lambda image: image.image_id)[:left]
        shards += plan_shards(
            taken, group.shard_size, group.name, group.label_format, group.label_source
        )
        if left is not None:
            left -= len(taken)
            if left == 0:
                break
    return shards


def _recognise(source: str | os.PathLike[str], storage_options: StorageOptions) -> str:
    folder = open_folder(source, storage_options)
    kind = folder.kind()
    if kind is None:
        raise InputError(f"{source} is not there: give a folder, a tar file or an image")
    if kind == "file":
        if is_tar_name(folder.name):
            return "sa1b"
        return "camvid" if folder.name.endswith(".txt") else "folder"
    if is_camvid(source, storage_options):
        return "camvid"
    return "sa1b" if any(is_tar_name(name) for name in folder.top_files()) else "folder"


def _folder_groups(
    source: str | os.PathLike[str],
    *,
    shard_size: int | None,
    prefix: str | None,
    truth: GroundTruth | None,
    storage_options: StorageOptions,
) -> Iterator[_Group]:
    images = find_folder_images(source, truth=truth, storage_options=storage_options)
    name = prefix or _source_name(source, storage_options)
    size = shard_size or DEFAULT_SHARD_SIZE
    if truth is None:
        yield _Group(name, images, size)
        return
    cover(truth, (image.image_id for image in images))  # refuses truth that two images would share
    yield _Group(name, images, size, truth.label_format, truth.source)


def _sa1b_groups(
    source: str | os.PathLike[str],
    shard_size: int | None,
    prefix: str | None,
    storage_options: StorageOptions,
) -> Iterator[_Group]:
    files = find_sa1b_files(source, storage_options)
    tars: dict[str, str] = {}
    for relative, uri in files.tars.items():
        name = shard_name(relative)
        if name in tars:
            raise InputError(
                f"{tars[name]} and {uri} would both be the shard {name}: rename one of them"
            )
        tars[name] = uri
    for name, uri in sorted(tars.items()):
        images = find_tar_images(uri, storage_options=storage_options)
        yield _Group(f"{prefix}_{name}" if prefix else name, images, shard_size)
    if files.loose:
        name = prefix or _source_name(source, storage_options)
        yield _Group(name, files.loose, shard_size or DEFAULT_SHARD_SIZE)


def _camvid_groups(
    source: str | os.PathLike[str],
    shard_size: int | None,
    prefix: str | None,
    storage_options: StorageOptions,
) -> Iterator[_Group]:
    for split, images in find_camvid_images(source, storage_options).items():
        name = f"{prefix or 'camvid'}_{shard_name(split)}"
        yield _Group(name, images, shard_size or DEFAULT_SHARD_SIZE, LABEL_FORMAT)


def _source_name(source: str | os.PathLike[str], storage_options: StorageOptions) -> str:
    name = open_folder(source, storage_options).name
    return shard_name(name.rpartition(".")[0] if is_image_name(name) else name)
