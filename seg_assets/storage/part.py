"""One part: a Parquet file with one row group per image, and a note about its images."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seg_assets.errors import StoreError
from seg_assets.storage.files import Files, explained
from seg_assets.storage.manifest import ImageFailure, PartRecord

# The key of our note in the file's key-value metadata.
NOTE = b"seg_assets"

# zstd's level where it is not the usual one. Run lengths are text, of which a long search leaves a
# sixth less: 10 ms more for 100 masks. Nothing else gains as much.
_LEVELS = {"rle_counts": 15}

# Columns whose least and greatest values are noted. Those of masks and pictures would be written
# again in full, in the page and in the footer, and nobody looks for them.
_STATISTICS: Any = ["image_id"]  # pyarrow's type hints know no list


class PartWriter:
    """Streams one part into a scratch file and publishes it.

    Args:
        files: where the part goes.
        path: its path there.
        schema: the columns.
        fingerprint: of the shard.
    """

    def __init__(self, files: Files, path: str, schema: pa.Schema, fingerprint: str) -> None:
        self._files, self._path, self._fingerprint = files, path, fingerprint
        self._where = files.location(path)
        self._image_ids: list[str] = []
        self._rows: list[int] = []
        self._failures: list[ImageFailure] = []
        self._scratch = files.scratch_file(path)
        with explained("write", self._where):
            self._sink = pa.OSFile(str(self._scratch), "wb")
            self._parquet = pq.ParquetWriter(
                self._sink,
                schema,
                compression="zstd",
                compression_level=_LEVELS,
                use_dictionary=False,  # pictures and masks do not repeat; zstd does the rest
                write_statistics=_STATISTICS,
                write_page_checksum=True,
            )

    def add(self, image_id: str, table: pa.Table) -> None:
        """Write the rows of one image as one row group; none if there are no rows."""
        if table.num_rows:
            with explained("write", self._where):
                self._parquet.write_table(table, row_group_size=table.num_rows)
        self._image_ids.append(image_id)
        self._rows.append(table.num_rows)

    def fail(self, failure: ImageFailure) -> None:
        """Note an image without rows."""
        self._image_ids.append(failure.image_id)
        self._rows.append(0)
        self._failures.append(failure)

    def close(self) -> PartRecord:
        """Finish the file and publish it."""
        note = {
            "fingerprint": self._fingerprint,
            "image_ids": self._image_ids,
            "rows": self._rows,
            "errors": [asdict(failure) for failure in self._failures],
        }
        with explained("write", self._where):
            self._parquet.add_key_value_metadata({NOTE.decode(): json.dumps(note)})
            self._parquet.close()
            self._sink.close()
            with self._scratch.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = self._scratch.stat().st_size
        self._files.publish(self._scratch, self._path)
        return PartRecord(
            name=self._path.rpartition("/")[2],
            image_ids=tuple(self._image_ids),
            rows=sum(self._rows),
            bytes=size,
            sha256=sha256,
            failures=tuple(self._failures),
        )

    def abort(self) -> None:
        """Throw the unfinished file away."""
        try:
            self._parquet.close()
            self._sink.close()
        except (OSError, pa.ArrowException):
            # The disk may be full or gone; the file is thrown away either way.
            pass
        self._scratch.unlink(missing_ok=True)


@dataclass(frozen=True)
class PartNote:
    """What a part says about itself.

    Attributes:
        fingerprint: of the shard it was written for.
        image_ids: its images in order, failed ones too.
        rows: rows of each image.
        failures: the failed images.
    """

    fingerprint: str
    image_ids: tuple[str, ...]
    rows: tuple[int, ...]
    failures: tuple[ImageFailure, ...]


class PartReader:
    """Reads the images of one part.

    Args:
        files: where the part lies.
        path: its path there.

    Raises:
        FileNotFoundError: there is no such part.
        StoreError: the file is damaged; the message names it.
    """

    def __init__(self, files: Files, path: str) -> None:
        self._where = files.location(path)
        self._file = files.open(path)
        try:
            self._parquet = pq.ParquetFile(self._file, page_checksum_verification=True)
            note = json.loads((self._parquet.metadata.metadata or {})[NOTE])
            self.note = PartNote(
                fingerprint=note["fingerprint"],
                image_ids=tuple(note["image_ids"]),
                rows=tuple(note["rows"]),
                failures=tuple(ImageFailure(**error) for error in note["errors"]),
            )
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            self._file.close()
            raise self._damaged(error) from error
        groups = (index for index in range(self._parquet.num_row_groups))
        self._groups = {
            image_id: next(groups, -1) if rows else None
            for image_id, rows in zip(self.note.image_ids, self.note.rows, strict=True)
        }

    def _damaged(self, error: Exception) -> StoreError:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error) else type(error)
        return StoreError(
            f"{self._where} is damaged ({reason}): materialise its shard again with recompute"
        )

    def read(self, image_id: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of one image of this part; no rows for a failed one."""
        group = self._groups[image_id]
        try:
            if group is None:
                empty = self._parquet.schema_arrow.empty_table()
                return empty if columns is None else empty.select(list(columns))
            return self._parquet.read_row_group(group, columns=columns)
        except (pa.ArrowException, OSError, IndexError) as error:
            raise self._damaged(error) from error

    def verify(self) -> None:
        """Read every row group and its checksums once.

        Raises:
            StoreError: something is damaged or missing.
        """
        for image_id, rows in zip(self.note.image_ids, self.note.rows, strict=True):
            if self.read(image_id).num_rows != rows:
                raise self._damaged(ValueError(f"image {image_id} has not its {rows} rows"))

    def close(self) -> None:
        """Close the file."""
        self._parquet.close()
        self._file.close()


def inspect_part(
    files: Files, path: str, fingerprint: str, image_ids: Sequence[str]
) -> PartRecord | None:
    """Look for a finished part of an earlier run.

    Args:
        files: where to look.
        path: the part.
        fingerprint: the shard's.
        image_ids: the images it must hold.

    Returns:
        Its record, or None if it is missing, damaged, or made for another shard.
    """
    try:
        reader = PartReader(files, path)
    except (FileNotFoundError, StoreError):
        return None
    try:
        note = reader.note
        if note.fingerprint != fingerprint or note.image_ids != tuple(image_ids):
            return None
        reader.verify()
    except StoreError:
        return None
    finally:
        reader.close()
    with files.open(path) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return PartRecord(
        name=path.rpartition("/")[2],
        image_ids=note.image_ids,
        rows=sum(note.rows),
        bytes=files.size(path),
        sha256=sha256,
        failures=note.failures,
    )
