"""Shards: named batches of images, which are the partitions of every asset.

A shard says where its images lie; it holds no pixels. Definitions are kept in the store, one small
Parquet file each: `shards/<name>.parquet`.
"""

import dataclasses
import difflib
import io
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from seg_assets.errors import InputError, StoreError
from seg_assets.storage.names import check_name
from seg_assets.storage.schema import SCHEMAS
from seg_assets.storage.store import Store

logger = logging.getLogger(__name__)

ASSET = "shards"
_SUFFIX = ".parquet"
_LABEL_FORMAT_KEY = b"seg_assets.label_format"
_LABEL_SOURCE_KEY = b"seg_assets.label_source"

# Enough for any collection that one store should hold; longer numbers still work.
NUMBER_DIGITS = 4


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
        name: letters, digits, "_", "-" and "."; also the key of the Dagster partition.
        images: in the order in which they are processed, ids unique.
        label_format: how the ground truth is written (see `label_maps`); None without ground truth.
        label_source: where it lies as a whole, a folder or a JSON file; None where only the images'
            own `label_uri` say it.
    """

    name: str
    images: tuple[ImageRef, ...]
    label_format: str | None = None
    label_source: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "shard")
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
    label_source: str | None = None,
) -> list[Shard]:
    """Cut images into as few shards of at most `shard_size` as possible, of nearly equal size.

    Images are sorted by id, character by character (frame_10 before frame_2), so the same images
    give the same shards in whatever order a file system lists them. Sizes differ by one at most.

    Args:
        images: any number of images with unique ids; none give no shards.
        shard_size: most images in a shard; None for one shard named `prefix`.
        prefix: shards are named <prefix>_0000, <prefix>_0001, ...
        label_format: how the images' ground truth is written.
        label_source: where it lies as a whole.

    Raises:
        InputError: `shard_size` is below 1, the prefix cannot name a shard, or ids repeat.
    """
    if shard_size is not None and shard_size < 1:
        raise InputError(f"the shard size is {shard_size}: give at least 1")
    ordered = sorted(images, key=lambda image: image.image_id)
    if not ordered:
        return []
    if shard_size is None:
        return [Shard(prefix, tuple(ordered), label_format, label_source)]
    count = -(-len(ordered) // shard_size)
    return [
        Shard(
            f"{prefix}_{number:0{NUMBER_DIGITS}d}",
            tuple(ordered[start:stop]),
            label_format,
            label_source,
        )
        for number, (start, stop) in enumerate(balanced_slices(len(ordered), count))
    ]


def balanced_slices(length: int, count: int) -> list[tuple[int, int]]:
    """Cut range(length) into `count` consecutive slices (start, stop) of nearly equal length."""
    return [(number * length // count, (number + 1) * length // count) for number in range(count)]


def shard_name(text: str) -> str:
    """Make a shard name of any text: other characters become "_", runs of them a single one."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_-") or "images"


def register_shards(store: Store, shards: Iterable[Shard], *, replace: bool = False) -> list[str]:
    """Keep the definitions of shards in the store.

    A shard that is registered with the same images already is left alone; if it was registered
    without its `label_source`, as older releases did, that is added. Nothing is written when one of
    the shards is refused.

    Args:
        store: where they are kept.
        shards: the shards, with different names.
        replace: let a shard take the place of a registered one with other images.

    Returns:
        The names of the shards that were written, new or changed.

    Raises:
        InputError: a name occurs twice, or is registered with other images.
        StoreError: the store cannot be written.
    """
    registered = set(list_shards(store))
    chosen: dict[str, Shard] = {}
    for shard in shards:
        if shard.name in chosen:
            raise InputError(f"two shards are named {shard.name}: give each a name of its own")
        chosen[shard.name] = shard
    changed = [
        shard
        for name, shard in chosen.items()
        if name not in registered or load_shard(store, name) != shard
    ]
    conflicts = [
        shard.name
        for shard in changed
        if shard.name in registered
        and load_shard(store, shard.name) != dataclasses.replace(shard, label_source=None)
    ]
    if conflicts and not replace:
        raise InputError(
            f"registered with other images already: {_some(conflicts)}; choose another prefix, "
            "remove them first or replace them (`seg-assets shards add --replace`)"
        )
    for shard in changed:
        store.write_bytes(_path(shard.name), _to_parquet(shard))
    known = len(chosen) - len(changed)
    logger.info("registered %d shards, %d were there already", len(changed), known)
    return [shard.name for shard in changed]


def list_shards(store: Store) -> list[str]:
    """Names of all registered shards, sorted."""
    names = store.list_files(ASSET)
    return [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]


def load_shard(store: Store, name: str) -> Shard:
    """Read the definition of a shard.

    Raises:
        InputError: no such shard is registered; the message lists similar names.
        StoreError: the definition is damaged.
    """
    check_name(name, "shard")
    path = _path(name)
    try:
        data = store.read_bytes(path)
    except FileNotFoundError as error:
        raise _unknown(store, name) from error
    try:
        return _from_parquet(name, data)
    except (pa.ArrowException, KeyError, TypeError) as error:
        raise StoreError(
            f"the definition of shard {name} in {store.location(path)} is damaged ({error}): "
            "register the shard again"
        ) from error


def remove_shard(store: Store, name: str) -> None:
    """Forget a shard's definition; results that it already has stay in the store.

    Raises:
        InputError: no such shard is registered; the message lists similar names.
    """
    check_name(name, "shard")
    if name not in list_shards(store):
        raise _unknown(store, name)
    store.remove_bytes(_path(name))


def _path(name: str) -> str:
    return f"{ASSET}/{name}{_SUFFIX}"


def _to_parquet(shard: Shard) -> bytes:
    columns = {
        field.name: pa.array([getattr(image, field.name) for image in shard.images], field.type)
        for field in SCHEMAS[ASSET]
    }
    table = pa.table(columns, schema=SCHEMAS[ASSET])
    told = {_LABEL_FORMAT_KEY: shard.label_format, _LABEL_SOURCE_KEY: shard.label_source}
    metadata = {key: value.encode() for key, value in told.items() if value is not None}
    if metadata:
        table = table.replace_schema_metadata(metadata)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _from_parquet(name: str, data: bytes) -> Shard:
    # Everything in this thread: a thread of Arrow that lets go of Python's bytes while Python exits
    # aborts the process (apache/arrow#34314), and the last thing that a command does may be this.
    table = pq.ParquetFile(io.BytesIO(data), pre_buffer=False).read(use_threads=False)
    images = tuple(ImageRef(**row) for row in table.to_pylist())
    metadata = table.schema.metadata or {}
    label_format, label_source = (
        value if value is None else value.decode()
        for value in map(metadata.get, (_LABEL_FORMAT_KEY, _LABEL_SOURCE_KEY))
    )
    return Shard(name, images, label_format, label_source)


def _unknown(store: Store, name: str) -> InputError:
    names = list_shards(store)
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        advice = f"did you mean {_some(near)}?"
    elif names:
        advice = f"registered are {_some(names)}"
    else:
        advice = "none is registered yet, add some with `seg-assets shards add`"
    return InputError(f"no shard {name} is registered in {store.location()}: {advice}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
