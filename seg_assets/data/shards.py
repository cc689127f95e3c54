"""Shards: named batches of images, which are the partitions of every asset.

A shard says where its images lie; it holds no pixels. Definitions are kept in the store, one small
Parquet file each: `shards/<name>.parquet`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seg_assets.errors import InputError

# Enough for any collection that one store should hold; longer numbers still work.
NUMBER_DIGITS = 4

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where one image lies.

    Attributes:
        image_id: unique inside its shard: the path relative to the shard's source, with slashes and
            without extension ("city/frame_01").
        uri: a local path or an fsspec URL, of the image or of the tar file that holds it.
        offset: first byte inside the tar file, else None.
        size: number of bytes inside the tar file, else None.
        label_uri: where the image's ground truth lies, else None.
    """

    image_id: str
    uri: str
    offset: int | None = None
    size: int | None = None
    label_uri: str | None = None

    def __post_init__(self) -> None:
        # ids become file names when results are exported
        parts = self.image_id.split("/")
        if "\0" in self.image_id or any(part in ("", ".", "..") for part in parts):
            raise InputError(
                f"{self.uri} gives the image id {self.image_id!r}, which cannot be a relative "
                "path: rename the image"
            )

    @property
    def where(self) -> str:
        """Name of the image for messages."""
        if self.offset is None:
            return self.uri
        return f"image {self.image_id} in {self.uri} (byte {self.offset})"


@dataclass(frozen=True, slots=True)
class Shard:
    """A batch of images that is processed in one run.

    Attributes:
        name: letters, digits, "_" and "-".
        images: in the order in which they are processed, ids unique.
        label_format: how the ground truth is written (see `label_maps`); None without ground truth.
    """

    name: str
    images: tuple[ImageRef, ...]
    label_format: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name!r} cannot name a shard: use letters, digits, '_' and '-' only, "
                "starting with a letter or digit"
            )
        if not self.images:
            raise InputError(f"the shard {self.name} has no images: give it at least one")
        seen: dict[str, ImageRef] = {}
        for image in self.images:
            other = seen.setdefault(image.image_id, image)
            if other is not image:
                raise InputError(
                    f"the shard {self.name} has two images {image.image_id}, {other.where} and "
                    f"{image.where}: rename one of them"
                )


def plan_shards(
    images: Sequence[ImageRef],
    shard_size: int | None,
    prefix: str,
    label_format: str | None = None,
) -> list[Shard]:
    """Cut images into as few shards of at most `shard_size` as possible, of nearly equal size.

    Images are sorted by id, character by character (frame_10 before frame_2), so the same images
    give the same shards in whatever order a file system lists them. Sizes differ by one at most.

    Args:
        images: any number of images with unique ids; none give no shards.
        shard_size: most images in a shard; None for one shard named `prefix`.
        prefix: shards are named <prefix>_0000, <prefix>_0001, ...
        label_format: how the images' ground truth is written.

    Raises:
        InputError: `shard_size` is below 1, the prefix cannot name a shard, or ids repeat.
    """
    if shard_size is not None and shard_size < 1:
        raise InputError(f"the shard size is {shard_size}: give at least 1")
    ordered = sorted(images, key=lambda image: image.image_id)
    if not ordered:
        return []
    if shard_size is None:
        return [Shard(prefix, tuple(ordered), label_format)]
    count = -(-len(ordered) // shard_size)
    return [
        Shard(f"{prefix}_{number:0{NUMBER_DIGITS}d}", tuple(ordered[start:stop]), label_format)
        for number, (start, stop) in enumerate(balanced_slices(len(ordered), count))
    ]


def balanced_slices(length: int, count: int) -> list[tuple[int, int]]:
    """Cut range(length) into `count` consecutive slices (start, stop) of nearly equal length."""
    return [(number * length // count, (number + 1) * length // count) for number in range(count)]


def shard_name(text: str) -> str:
    """Make a shard name of any text: other characters become "_", runs of them a single one."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_-") or "images"
