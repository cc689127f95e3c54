"""The folder that `seg-assets label` fills.

maps/<classes>/<image>.png   indexed PNG of class ids, 255 = no label
overlays/<image>.jpg         the image under its map
regions/<image>.parquet      one row per region; written last, so it marks an image as done
regions.csv, regions.parquet those of all images
errors.csv                   images that could not be labelled in the last run
classes.csv                  ids, names and colours of the maps
settings.json                models and parameters; another run must have the same
"""

import csv
import io
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from PIL import Image

from seg_assets.classes.table import ClassTable
from seg_assets.data.images import read_image
from seg_assets.data.shards import ImageRef
from seg_assets.errors import InputError, SegAssetsError, StoreError
from seg_assets.pipeline import LabelledImage, Pipeline
from seg_assets.storage.png import encode_label_map

_log = logging.getLogger(__name__)

REGIONS = pa.schema(
    [
        ("image_id", pa.string()),
        ("region_id", pa.int32()),
        ("mask_id", pa.int32()),
        ("class_id", pa.int32()),
        ("class_name", pa.string()),
        ("source_id", pa.int32()),
        ("source_name", pa.string()),
        ("area", pa.int64()),
        ("x", pa.int32()),
        ("y", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("score", pa.float64()),
        ("margin", pa.float64()),
        ("vote_share", pa.float64()),
        ("fallback", pa.bool_()),
    ]
)
"""A region's row: its class in the semantic map, SEEM's answer in its own classes (the source),
its mask's box, how sure it is.

The box is SA-1B's: `width` and `height` are distances between the outermost pixels.
"""

_SOURCE = b"source"  # key of the Parquet metadata that says which file the results are of

# Unexpected errors on the first images, and on nothing but them, are a fault of the set-up.
_SYSTEMATIC_FAILURES = 3


@dataclass
class LabelOutput:
    """The folder, and which images failed so far.

    Attributes:
        root: The folder.
        failed: Image id -> what was wrong, for this run.
    """

    root: Path
    failed: dict[str, str] = field(default_factory=dict)
    _succeeded: int = 0
    _unexpected: int = 0

    @classmethod
    def open(
        cls, root: Path, settings: Mapping[str, Any], *, overwrite: bool = False
    ) -> "LabelOutput":
        """Make the folder, or go on with one that an earlier run has begun.

        Raises:
            InputError: It holds results of other settings, or of something else.
            StoreError: It cannot be written.
        """
        output = cls(root)
        try:
            before = json.loads((root / "settings.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            before = None
        except (OSError, ValueError) as error:
            raise InputError(
                f"{root}/settings.json cannot be read: choose another --out"
            ) from error
        if overwrite:
            output._forget()
        elif before is not None and before != settings:
            other = ", ".join(key for key in settings if settings[key] != before.get(key))
            raise InputError(
                f"{root} holds results with other settings ({other}): "
                "choose another --out, or do them again with --overwrite"
            )
        output._write("settings.json", (json.dumps(settings, indent=2) + "\n").encode())
        return output

    def missing(self, images: Sequence[ImageRef]) -> list[ImageRef]:
        """Those of `images` that have no results yet, or those of another file of that name.

        Raises:
            InputError: Two images would have the same results.
        """
        seen: dict[str, ImageRef] = {}
        for image in images:
            other = seen.setdefault(image.image_id, image)
            if other is not image:
                raise InputError(
                    f"{other.where} and {image.where} have the same name: label them one by one"
                )
        return [image for image in images if not self._is_done(image)]

    def label(self, image: ImageRef, pipeline: Pipeline) -> None:
        """Label one image and write what was found; a failure is noted, not raised.

        Raises:
            StoreError: The folder cannot be written, or the images' storage does not answer.
            Exception: The first images' error, where each of them fails in an unexpected way.
        """
        try:
            result = pipeline(read_image(image))
        except StoreError:
            raise
        except SegAssetsError as error:
            self.failed[image.image_id] = str(error)
        except Exception as error:  # one image must not stop the others: it is recorded
            self._unexpected += 1
            if not self._succeeded and self._unexpected >= _SYSTEMATIC_FAILURES:
                raise
            _log.exception("image %s failed", image.image_id)
            self.failed[image.image_id] = f"{type(error).__name__}: {error}"
        else:
            self._succeeded += 1
            self._write_image(image, result)

    def finish(self, images: Iterable[ImageRef]) -> None:
        """Write the tables over all images that have results, and the errors of this run."""
        done = [i.image_id for i in images if self._regions_path(i.image_id).is_file()]
        temporary = self.root / ".regions.tmp"
        try:
            with (
                pq.ParquetWriter(temporary.with_suffix(".parquet"), REGIONS) as parquet,
                pyarrow.csv.CSVWriter(temporary.with_suffix(".csv"), REGIONS) as text,
            ):
                for image_id in done:
                    table = pq.read_table(self._regions_path(image_id), schema=REGIONS)
                    parquet.write_table(table)
                    text.write_table(table)
            for suffix in (".parquet", ".csv"):
                temporary.with_suffix(suffix).replace(self.root / f"regions{suffix}")
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"the tables in {self.root} cannot be written ({error}): make room there, or "
                "label again with --overwrite"
            ) from error
        rows = [("image_id", "message"), *sorted(self.failed.items())]
        self._write("errors.csv", _csv(rows))

    def _write_image(self, image: ImageRef, result: LabelledImage) -> None:
        image_id = image.image_id
        maps = {result.semantic_classes.name: (result.semantic_map, result.semantic_classes)}
        maps[result.merged_classes.name] = (result.merged_map, result.merged_classes)
        maps[f"seem_{result.semantic_classes.name}"] = (result.seem_map, result.semantic_classes)
        for name, (label_map, table) in maps.items():
            data = encode_label_map(label_map, table.palette())
            self._write(f"maps/{name}/{image_id}.png", data)
        picture = io.BytesIO()
        Image.fromarray(result.overlay()).save(picture, format="JPEG", quality=90)
        self._write(f"overlays/{image_id}.jpg", picture.getvalue())
        if not (self.root / "classes.csv").is_file():
            self._write("classes.csv", _class_list(result.semantic_classes, result.merged_classes))
        table = pa.Table.from_pylist(_region_rows(image_id, result), schema=REGIONS)
        table = table.replace_schema_metadata({_SOURCE: _source_of(image)})
        data = io.BytesIO()
        pq.write_table(table, data)
        self._write(f"regions/{image_id}.parquet", data.getvalue())

    def _is_done(self, image: ImageRef) -> bool:
        """Whether there are results, and of this very file."""
        try:
            metadata = pq.read_schema(self._regions_path(image.image_id)).metadata or {}
        except (OSError, pa.ArrowException):
            return False
        return metadata.get(_SOURCE) == _source_of(image)

    def _regions_path(self, image_id: str) -> Path:
        return self.root / "regions" / f"{image_id}.parquet"

    def _forget(self) -> None:
        """Remove the marks of all images: their results will be replaced one by one."""
        for path in sorted((self.root / "regions").rglob("*.parquet")):
            path.unlink()
        (self.root / "classes.csv").unlink(missing_ok=True)

    def _write(self, name: str, data: bytes) -> None:
        """Write a file as a whole."""
        path = self.root / name
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written ({error.strerror}): choose another --out or make room"
            ) from error


def _source_of(image: ImageRef) -> bytes:
    """What tells a file from another one that takes its name later; size and time where known."""
    source = [image.where, image.offset, image.size]
    with suppress(OSError):  # not a local file
        found = Path(image.uri).stat()
        source += [found.st_size, found.st_mtime_ns]
    return json.dumps(source).encode()


def _region_rows(image_id: str, result: LabelledImage) -> list[dict[str, Any]]:
    rows = []
    for region in result.regions:
        x, y, width, height = result.masks[region.mask_id].bbox
        rows.append(
            {
                "image_id": image_id,
                "region_id": region.region_id,
                "mask_id": region.mask_id,
                "class_id": region.class_id,
                "class_name": _name(result.semantic_classes, region.class_id),
                "source_id": region.source_id,
                "source_name": _name(result.source_classes, region.source_id),
                "area": region.area,
                "x": x,
                "y": y,
                "width": width,
                "height": height,
                "score": region.score,
                "margin": region.margin,
                "vote_share": region.vote_share,
                "fallback": region.fallback,
            }
        )
    return rows


def _name(table: ClassTable, class_id: int) -> str:
    """The class's name; empty for "others" and "no label", which are no classes."""
    return table.names[class_id] if class_id < len(table) else ""


def _class_list(*tables: ClassTable) -> bytes:
    rows: list[tuple[object, ...]] = [("classes", "id", "name", "red", "green", "blue")]
    for table in {table.name: table for table in tables}.values():
        rows += [(table.name, item.id, item.name, *item.color) for item in table.classes]
    return _csv(rows)


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
