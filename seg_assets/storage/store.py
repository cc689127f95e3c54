"""The store: one folder or object store prefix that holds every asset's shards."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from seg_assets.storage.files import Files
from seg_assets.storage.local_files import LocalFiles
from seg_assets.storage.names import (
    MANIFEST,
    check_name,
    check_relative_path,
    lock_path,
    pending_folder,
    schema_of,
)
from seg_assets.storage.object_files import ObjectFiles
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.writer import ShardWriter


class Store:
    """Shards of assets below one root; cheap to make, to pickle and to pass around.

    Nothing is touched until the first call of a method.

    Args:
        root: a local folder or any fsspec URL, as `s3://bucket/prefix`.
        storage_options: for the fsspec file system, as endpoint and credentials; those may
            also come from the environment.
    """

    def __init__(self, root: str | Path, storage_options: Mapping[str, Any] | None = None) -> None:
        text = str(root).removeprefix("file://")
        self.is_local = "://" not in text
        # An absolute path goes on meaning the same place in another process.
        self.root = os.path.abspath(Path(text).expanduser()) if self.is_local else text.rstrip("/")
        self.storage_options = dict(storage_options or {})

    def __repr__(self) -> str:
        return f"Store({self.root!r})"  # storage options may hold credentials

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_files"}

    @cached_property
    def _files(self) -> Files:
        if self.is_local:
            return LocalFiles(self.root)
        return ObjectFiles(self.root, self.storage_options)

    def write_shard(
        self,
        asset: str,
        shard: str,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        images_per_part: int = 32,
        retry_failed: bool = False,
        recompute: bool = False,
    ) -> ShardWriter:
        """Begin or go on writing a shard; the result is a context manager.

        Args:
            asset: name of a schema.
            shard: name of the shard.
            image_ids: all its images in order, none twice.
            provenance: plain JSON that decides the result: model, checkpoint, parameters,
                code version. The same provenance and images reuse what is there.
            images_per_part: images in one Parquet file; what a kill can cost.
            retry_failed: of a finished shard, write the parts again in which images failed: what
                was wrong may have been mended, or have passed.
            recompute: write all parts again even if the shard is finished or begun.

        Raises:
            InputError: a name, an image or the provenance cannot be used.
            StoreError: (on entering) somebody else writes the shard, or the store refuses.
        """
        return ShardWriter(
            self._files,
            asset,
            shard,
            image_ids,
            provenance,
            images_per_part=images_per_part,
            retry_failed=retry_failed,
            recompute=recompute,
        )

    def open_shard(self, asset: str, shard: str) -> ShardReader:
        """Open a finished shard.

        Raises:
            InputError: the asset or the name of the shard cannot be.
            StoreError: the shard is missing, unfinished or damaged.
        """
        return ShardReader(self._files, asset, shard)

    def is_complete(self, asset: str, shard: str) -> bool:
        """Whether the shard is finished, whatever its provenance."""
        schema_of(asset)
        return self._files.exists(f"{asset}/{check_name(shard, 'shard')}/{MANIFEST}")

    def shards(self, asset: str) -> list[str]:
        """Return the sorted names of the finished shards of an asset."""
        schema_of(asset)
        folders = self._files.list_folders(asset)
        return [name for name in folders if self._files.exists(f"{asset}/{name}/{MANIFEST}")]

    def delete(self, asset: str, shard: str) -> None:
        """Remove a shard, finished or begun; nothing happens if there is none.

        Raises:
            StoreError: somebody is writing it, or the store refuses.
        """
        schema_of(asset)
        check_name(shard, "shard")
        with self._files.lock(lock_path(asset, shard), f"shard {shard} of {asset}"):
            self._files.remove(f"{asset}/{shard}/{MANIFEST}")  # first: from now on it is unfinished
            self._files.remove_folder(f"{asset}/{shard}")
            self._files.remove_folder(pending_folder(asset, shard))

    def location(self, path: str = "") -> str:
        """Return where a relative path lies: an absolute path or a URL, for other readers."""
        return self._files.location(path).rstrip("/")

    def read_bytes(self, path: str) -> bytes:
        """Read a small file of the store.

        Args:
            path: relative to the root, with `/`.

        Raises:
            FileNotFoundError: there is none.
            StoreError: it cannot be read.
        """
        return self._files.read(check_relative_path(path))

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write or replace a small file; readers see the old or the new one, whole.

        Raises:
            StoreError: the store refuses.
        """
        self._files.write(check_relative_path(path), data)

    def remove_bytes(self, path: str) -> None:
        """Remove a small file, if it is there.

        Raises:
            StoreError: the store refuses.
        """
        self._files.remove(check_relative_path(path))

    def list_files(self, folder: str) -> list[str]:
        """Return the sorted names of the files right inside a folder; [] if there is none."""
        names = self._files.list_files(check_relative_path(folder))
        return [name for name in names if not name.startswith(".")]
