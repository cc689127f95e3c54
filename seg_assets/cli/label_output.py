"""The folder that `seg-assets label` fills.

maps/<classes>/<image>.png   indexed PNG of class ids, 255 = no label
overlays/<image>.jpg         the image under its map
regions/<image>.parquet      one row per region; written last, so it marks an image as done
regions.csv, regions.parquet those of all images
errors.csv                   images that could not be labelled in the last run
classes.csv                  ids, names and colours of the maps
settings.json                models and parameters; another run must have the same
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from seg_assets.classes.table import ClassTable
from seg_assets.cli.result_folder import ResultFolder, mark_of
from seg_assets.data.images import read_image
from seg_assets.data.shards import ImageRef
from seg_assets.errors import StoreError
from seg_assets.pipeline import LabelledImage, Pipeline
from seg_assets.storage.png import encode_label_map

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


class LabelOutput(ResultFolder[Pipeline, LabelledImage]):
    """The folder, and which images failed so far."""

    marks = "regions/**/*.parquet"

    def is_done(self, image: ImageRef) -> bool:
        """Whether there are results, and of this very file."""
        try:
            metadata = pq.read_schema(self._regions_path(image.image_id)).metadata or {}
        except (OSError, pa.ArrowException):
            return False
        return metadata.get(_SOURCE) == mark_of(image)

    def label(self, image: ImageRef, labeler: Pipeline) -> LabelledImage:
        """Label one image."""
        return labeler(read_image(image))

    def keep(self, image: ImageRef, result: LabelledImage) -> None:
        """Write an image's maps, overlay and regions."""
        image_id = image.image_id
        maps = {result.semantic_classes.name: (result.semantic_map, result.semantic_classes)}
        maps[result.merged_classes.name] = (result.merged_map, result.merged_classes)
        maps[f"seem_{result.semantic_classes.name}"] = (result.seem_map, result.semantic_classes)
        for name, (label_map, table) in maps.items():
            data = encode_label_map(label_map, table.palette())
            self.write(f"maps/{name}/{image_id}.png", data)
        self.write_overlay(image_id, result.overlay())
        self.write_classes(result.semantic_classes, result.merged_classes)
        table = pa.Table.from_pylist(_region_rows(image_id, result), schema=REGIONS)
        table = table.replace_schema_metadata({_SOURCE: mark_of(image)})
        data = io.BytesIO()
        pq.write_table(table, data)
        self.write(f"regions/{image_id}.parquet", data.getvalue())

    def finish(self, images: Sequence[ImageRef]) -> None:
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
        super().finish(images)

    def _regions_path(self, image_id: str) -> Path:
        return self.root / "regions" / f"{image_id}.parquet"


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
