"""COCO's instance annotations: one JSON with a mask per object."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal

from seg_assets.classes.table import ClassTable
from seg_assets.data.ground_truth.segment_masks import encode_segments
from seg_assets.data.panoptic.categories import Category
from seg_assets.data.panoptic.json_list import JsonList, write_json_object
from seg_assets.errors import InputError
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.format import ExportFormat, ExportImage, FormatWriter, required
from seg_assets.exports.request import ExportRequest, ExportSummary
from seg_assets.exports.run import run_export
from seg_assets.exports.segments import cut_image
from seg_assets.exports.things import categories_of
from seg_assets.masks.rle import Rle
from seg_assets.storage.files import explained

FILE = "instances.json"

Masks = Literal["regions", "whole"]


def export_coco_instances(
    request: ExportRequest, *, masks: Masks = "regions", stuff: bool = False
) -> ExportSummary:
    """Write instances.json: images, categories, and an annotation per object of a thing class.

    Thing pixels in no mask are in no annotation: nobody has told their objects apart.

    Args:
        request: what is exported, and where to.
        masks: "regions": what shows of a mask under smaller ones, so that annotations are disjoint;
            "whole": the masks themselves, which overlap.
        stuff: also an annotation per stuff class of an image (regions), or per mask of stuff
            (whole).

    Raises:
        InputError: no class is a thing, or whole masks are asked of maps that are not made of
            masks.
        SegAssetsError: as `run_export`.
    """
    if masks == "whole" and request.maps == "seem":
        raise InputError("SEEM's own maps are not made of masks: choose other maps, or regions")
    form = ExportFormat(
        "coco_instances",
        partial(_Writer, things=request.things, masks=masks, stuff=stuff),
        settings={"masks": masks, "stuff": stuff},
    )
    return run_export(request, form)


class _Writer(FormatWriter):
    def __init__(
        self,
        folder: ExportFolder,
        table: ClassTable | None,
        *,
        things: tuple[str, ...] | None,
        masks: Masks,
        stuff: bool,
    ) -> None:
        super().__init__(folder)
        table = required(table)
        self._table = categories_of(table, things)
        self._masks, self._stuff = masks, stuff
        chosen = [item for item in self._table.categories if stuff or item.is_thing]
        if not chosen:
            raise InputError(
                f"no class of {table.name} is known to be a thing: name the things (--things)"
            )
        self._categories = {item.id: _category_json(item) for item in chosen}
        self._images = self.stack.enter_context(JsonList(folder.hidden))
        self._annotations = self.stack.enter_context(JsonList(folder.hidden))

    def add(self, image: ExportImage) -> None:
        found = self._whole(image) if self._masks == "whole" else self._regions(image)
        annotations = [
            {"id": number, "image_id": image.number, **annotation}
            for number, annotation in enumerate(found, self.objects + 1)
        ]
        self.objects += len(annotations)
        with explained("write", str(self.folder.out / FILE)):
            self._images.add(
                {
                    "id": image.number,
                    "file_name": image.file_name,
                    "height": image.height,
                    "width": image.width,
                }
            )
            for annotation in annotations:
                self._annotations.add(annotation)

    def _regions(self, image: ExportImage) -> Iterator[dict[str, Any]]:
        cut = cut_image(image, self._table)
        ids = cut.segmented.ids
        height, width = ids.shape
        counts = encode_segments(ids, [segment.id for segment in cut.segmented.segments])
        for segment in cut.segmented.segments:
            if segment.category_id not in self._categories or segment.is_crowd:
                continue
            score = None
            if (mask_id := cut.mask_ids.get(segment.id)) is not None:
                score = image.labels.names[mask_id].score
            box = [float(value) for value in segment.bbox]
            rle = Rle(height, width, counts[segment.id])
            yield _annotation(segment.category_id, rle, segment.area, box, score)

    def _whole(self, image: ExportImage) -> Iterator[dict[str, Any]]:
        for mask_id, record in enumerate(image.labels.records):
            name = image.labels.names.get(mask_id)
            if name is None or name.class_id is None or name.class_id + 1 not in self._categories:
                continue
            x0, y0, x1, y1 = record.rle.corners
            box = [float(value) for value in (x0, y0, x1 - x0 + 1, y1 - y0 + 1)]
            yield _annotation(name.class_id + 1, record.rle, record.area, box, name.score)

    def finish(self) -> None:
        with explained("write", str(self.folder.out / FILE)):
            sections: Mapping[str, Any] = {
                "info": {"description": "exported by seg_assets"},
                "licenses": [],
                "images": self._images,
                "annotations": self._annotations,
                "categories": list(self._categories.values()),
            }
            write_json_object(self.folder.path(FILE), sections)


def _category_json(item: Category) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "supercategory": "thing" if item.is_thing else "stuff",
        "isthing": int(item.is_thing),
        "color": list(item.color),
    }


def _annotation(
    category_id: int, rle: Rle, area: int, box: list[float], score: float | None
) -> dict[str, Any]:
    annotation = {
        "category_id": category_id,
        "segmentation": rle.to_coco(),
        "area": area,
        "bbox": box,
        "iscrowd": 0,
    }
    return annotation if score is None else {**annotation, "score": score}
