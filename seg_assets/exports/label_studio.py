"""Label Studio's tasks: every region as a brush with its class and score, to be corrected."""

from functools import partial
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from seg_assets.classes.table import ClassTable
from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.json_list import JsonList
from seg_assets.exports.brush_rle import encode_brush
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.format import ExportFormat, ExportImage, FormatWriter, required
from seg_assets.exports.request import ExportRequest, ExportSummary
from seg_assets.exports.run import run_export
from seg_assets.exports.segments import cut_image, segment_bounds
from seg_assets.storage.files import explained

CONFIG = "label_config.xml"
LOCAL_FILES = "/data/local-files/?d=images/"
"""Where Label Studio finds copied images, if its local files' root is the folder of the export."""

_FROM, _TO = "label", "image"


def export_label_studio(
    request: ExportRequest, *, image_prefix: str = LOCAL_FILES
) -> ExportSummary:
    """Write tasks/<shard>.json, with the regions of each image as predictions, and the config.

    A region is what shows of a mask; the pixels of a class in no mask are one region, without a
    score.

    Args:
        request: what is exported, and where to.
        image_prefix: what comes before an image's file name in its task: a URL, where Label Studio
            finds the images.

    Raises:
        SegAssetsError: as `run_export`.
    """
    form = ExportFormat(
        "label_studio",
        partial(_Writer, image_prefix=image_prefix),
        settings={"image_prefix": image_prefix},
    )
    return run_export(request, form)


class _Writer(FormatWriter):
    def __init__(
        self, folder: ExportFolder, table: ClassTable | None, *, image_prefix: str
    ) -> None:
        super().__init__(folder)
        self._table = required(table)
        # every mask is a region of its own, stuff too
        self._categories = CategoryTable.from_class_table(self._table, self._table.names)
        self._prefix = image_prefix
        self._tasks: JsonList | None = None

    def add(self, image: ExportImage) -> None:
        results = self._results(image)
        scores = [result["score"] for result in results if "score" in result]
        prediction: dict[str, Any] = {"model_version": "seg_assets", "result": results}
        if scores:
            prediction["score"] = sum(scores) / len(scores)
        task = {
            "data": {
                _TO: self._prefix + quote(image.file_name),
                "image_id": image.image_id,
                "shard": image.shard,
            },
            "predictions": [prediction],
        }
        if self._tasks is None:
            self._tasks = self.stack.enter_context(JsonList(self.folder.hidden))
        with explained("write", str(self.folder.out)):
            self._tasks.add(task)
        self.objects += len(results)

    def _results(self, image: ExportImage) -> list[dict[str, Any]]:
        cut = cut_image(image, self._categories)
        bounds = dict(segment_bounds(cut.segmented.ids))
        results = []
        for number, segment in enumerate(cut.segmented.segments, 1):
            brush = encode_brush(bounds[segment.id], image.height * image.width)
            result: dict[str, Any] = {
                "id": f"region_{number}",
                "type": "brushlabels",
                "from_name": _FROM,
                "to_name": _TO,
                "original_width": image.width,
                "original_height": image.height,
                "image_rotation": 0,
                "value": {
                    "format": "rle",
                    "rle": list(brush),
                    "brushlabels": [self._categories.by_id(segment.category_id).name],
                },
            }
            if (mask_id := cut.mask_ids.get(segment.id)) is not None:
                result["score"] = image.labels.names[mask_id].score
            results.append(result)
        return results

    def end_shard(self, shard: str) -> None:
        if self._tasks is None:
            return
        name = f"tasks/{shard}.json"
        path = self.folder.path(name)
        with explained("write", str(self.folder.out / name)), path.open("wb") as file:
            file.write(b"[\n")
            self._tasks.copy_to(file)
            file.write(b"\n]\n")
        self.stack.close()
        self._tasks = None

    def finish(self) -> None:
        self.folder.write(CONFIG, _config(self._table))


def _config(table: ClassTable) -> bytes:
    """The labelling interface that the tasks are made for."""
    labels = [
        f"    <Label value={quoteattr(item.name)} background={quoteattr(_hex(item.color))}/>"
        for item in table.classes
    ]
    lines = [
        "<View>",
        f'  <Image name="{_TO}" value="${_TO}" zoom="true"/>',
        f'  <BrushLabels name="{_FROM}" toName="{_TO}">',
        *labels,
        "  </BrushLabels>",
        "</View>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
