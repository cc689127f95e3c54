"""Reading one finished shard, image by image."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import pyarrow as pa

from seg_assets.errors import InputError, StoreError
from seg_assets.storage.files import Files
from seg_assets.storage.manifest import Manifest, PartRecord, load_manifest
from seg_assets.storage.names import check_name, schema_of
from seg_assets.storage.part import PartReader


class ShardReader:
    """Reads one finished shard of one asset; keeps at most one part open.

    Args:
        files: the store's.
        asset: name of a schema.
        shard: name of the shard.

    Attributes:
        manifest: what the shard says about itself.
        image_ids: the images that succeeded, in order.
        failed: the others, with stage and message.

    Raises:
        StoreError: the shard is missing or unfinished, or its manifest is damaged.
    """

    manifest: Manifest
    image_ids: list[str]
    failed: dict[str, tuple[str, str]]

    def __init__(self, files: Files, asset: str, shard: str) -> None:
        self._schema = schema_of(asset)
        check_name(shard, "shard")
        manifest = load_manifest(files, asset, shard)
        if manifest is None:
            raise StoreError(
                f"{asset} has no finished shard {shard} in {files.location(asset)}: run "
                f"`dagster asset materialize -m seg_assets.definitions --select {asset} "
                f"--partition {shard}`"
            )
        self.manifest = manifest
        self._files, self._folder = files, f"{asset}/{shard}"
        self.failed = {f.image_id: (f.stage, f.message) for f in manifest.failures}
        self._part_of = {
            image_id: part
            for part in manifest.parts
            for image_id in part.image_ids
            if image_id not in self.failed
        }
        self.image_ids = list(self._part_of)
        self._open_name = ""
        self._open_part: PartReader | None = None

    def __len__(self) -> int:
        return len(self.image_ids)

    def __iter__(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield (image_id, rows) in order."""
        for image_id in self.image_ids:
            yield image_id, self.rows(image_id)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._part_of

    def rows(self, image_id: str) -> list[dict[str, Any]]:
        """Return the rows of one image as mappings by column.

        Raises:
            StoreError: as `table`.
        """
        return self.table(image_id).to_pylist()

    def table(self, image_id: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of one image, in the order in which they were written.

        Args:
            image_id: one of `image_ids`.
            columns: names of the columns to read; all by default.

        Raises:
            InputError: a column is unknown.
            StoreError: the shard holds no such image, or its file is missing or damaged.
        """
        self._check_columns(columns)
        if image_id in self.failed:
            stage, message = self.failed[image_id]
            raise StoreError(f"{self._folder} has no rows of {image_id}: {stage} failed, {message}")
        if image_id not in self._part_of:
            raise StoreError(f"{self._folder} has no image {image_id!r}: see its image_ids")
        return self._part(self._part_of[image_id]).read(image_id, columns)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows of the shard; for columns that fit into memory.

        Args:
            columns: names of the columns to read; all by default.

        Raises:
            InputError: a column is unknown.
            StoreError: a file is missing or damaged.
        """
        self._check_columns(columns)
        schema = self._schema
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        tables = [self.table(image_id, columns) for image_id in self.image_ids]
        return pa.concat_tables([schema.empty_table(), *tables])

    def _check_columns(self, columns: Sequence[str] | None) -> None:
        for name in columns or ():
            if name not in self._schema.names:
                raise InputError(
                    f"{self.manifest.asset} has no column {name!r}: "
                    f"it has {', '.join(self._schema.names)}"
                )

    def errors(self) -> pa.Table:
        """Return the failed images as a table of the `errors` schema."""
        rows = [
            {"image_id": image_id, "stage": stage, "message": message}
            for image_id, (stage, message) in self.failed.items()
        ]
        return pa.Table.from_pylist(rows, schema=schema_of("errors"))

    def _part(self, record: PartRecord) -> PartReader:
        if self._open_part is None or self._open_name != record.name:
            self.close()
            path = f"{self._folder}/{record.name}"
            try:
                part = PartReader(self._files, path)
            except FileNotFoundError as error:
                raise StoreError(
                    f"{self._files.location(path)} is gone: the shard was written anew or "
                    f"removed since it was opened, open it again"
                ) from error
            self._open_name, self._open_part = record.name, part
        return self._open_part

    def close(self) -> None:
        """Close the part that is open, if any; reading on opens it again."""
        if self._open_part is not None:
            self._open_part.close()
            self._open_part = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
