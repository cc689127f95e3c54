"""A folder that `datasets.load_dataset` reads: Parquet files with images and label maps."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.exports.class_list import class_list_json
from seg_assets.exports.dataset_card import dataset_card
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.format import ExportFormat, ExportImage, FormatWriter, required
from seg_assets.exports.request import ExportRequest, ExportSummary
from seg_assets.exports.run import run_export
from seg_assets.storage.files import explained
from seg_assets.storage.schema import PNG

BYTES_PER_FILE = 400 << 20
"""Files are closed when they are this large: the hub advises less than 500 MB."""

_BYTES_PER_GROUP = 32 << 20
_ROWS_PER_GROUP = 100  # a viewer loads a group to show one of its images


def export_hugging_face(
    request: ExportRequest, *, bytes_per_file: int = BYTES_PER_FILE
) -> ExportSummary:
    """Write data/train-<i>-of-<n>.parquet and README.md; images are inside, unless left out.

    Columns: image, label_map (pictures), image_id, shard, and classes, the ids that the map holds,
    as a list of ClassLabel: so the features know the names.

    Args:
        request: what is exported, and where to.
        bytes_per_file: a file is closed when it holds as much.

    Raises:
        SegAssetsError: as `run_export`.
    """
    pictures = request.pictures or "copy"
    form = ExportFormat(
        "hugging_face",
        partial(_Writer, with_images=pictures == "copy", bytes_per_file=bytes_per_file),
        needs_masks=False,
        pictures="copy",
        pictures_folder=None,
    )
    return run_export(request, form)


class _Writer(FormatWriter):
    def __init__(
        self,
        folder: ExportFolder,
        table: ClassTable | None,
        *,
        with_images: bool,
        bytes_per_file: int,
    ) -> None:
        super().__init__(folder)
        self._table = required(table)
        self._schema = _schema(self._table, with_images=with_images)
        self._bytes_per_file = bytes_per_file
        self._files: list[Path] = []
        self._parquet: pq.ParquetWriter | None = None
        self._rows: list[dict[str, Any]] = []
        self._bytes = self._bytes_in_file = self._images = 0

    def add(self, image: ExportImage) -> None:
        present = np.flatnonzero(np.bincount(image.labels.label_map.ravel(), minlength=256))
        row: dict[str, Any] = {
            "label_map": {"bytes": image.labels.label_png, "path": f"{image.name}.png"},
            "image_id": image.image_id,
            "shard": image.shard,
            "classes": present[present != IGNORE_ID].tolist(),
        }
        size = len(image.labels.label_png)
        if image.picture is not None:
            row["image"] = {"bytes": image.picture, "path": image.file_name}
            size += len(image.picture)
        self._rows.append(row)
        self._bytes += size
        self._images += 1
        if len(self._rows) >= _ROWS_PER_GROUP or self._bytes >= _BYTES_PER_GROUP:
            self._flush()
        if self._bytes_in_file + self._bytes >= self._bytes_per_file:
            self._close_file()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._parquet is None:
            path = self.folder.path(f"data/part-{len(self._files):05d}.parquet")
            self._files.append(path)
            with explained("write", str(self.folder.out)):
                writer = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._parquet = self.stack.enter_context(writer)
        with explained("write", str(self.folder.out)):
            self._parquet.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows = []
        self._bytes_in_file += self._bytes
        self._bytes = 0

    def _close_file(self) -> None:
        self._flush()
        with explained("write", str(self.folder.out)):
            self.stack.close()
        self._parquet, self._bytes_in_file = None, 0

    def finish(self) -> None:
        self._close_file()
        for index, path in enumerate(self._files):
            name = f"train-{index:05d}-of-{len(self._files):05d}.parquet"
            with explained("write", str(self.folder.out / "data" / name)):
                path.rename(path.with_name(name))
        self.folder.write("README.md", dataset_card(self._table, self._schema, self._images))
        self.folder.write("classes.json", class_list_json(self._table))


def _schema(table: ClassTable, *, with_images: bool) -> pa.Schema:
    """Columns, and what Hugging Face calls their features."""
    fields = {
        "label_map": (PNG, {"_type": "Image"}),
        "image_id": (pa.string(), {"dtype": "string", "_type": "Value"}),
        "shard": (pa.string(), {"dtype": "string", "_type": "Value"}),
        "classes": (
            pa.list_(pa.int64()),
            {"feature": {"names": list(table.names), "_type": "ClassLabel"}, "_type": "List"},
        ),
    }
    if with_images:
        fields = {"image": (PNG, {"_type": "Image"}), **fields}
    features = {name: feature for name, (_, feature) in fields.items()}
    told = json.dumps({"info": {"features": features}})
    return pa.schema(
        [pa.field(name, kind) for name, (kind, _) in fields.items()], {"huggingface": told}
    )
