"""SA-1B's form: a JSON per image with its masks, and their names where the store has them."""

import json
import re
from collections.abc import Sequence
from typing import Any

from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.exports.class_list import class_list_json
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.format import ExportFormat, ExportImage, FormatWriter
from seg_assets.exports.labels import MaskName
from seg_assets.exports.request import ExportRequest, ExportSummary
from seg_assets.exports.run import run_export
from seg_assets.exports.segments import encode_segments
from seg_assets.masks.records import MaskRecord

FOLDER = "sa1b"
_OWN_NUMBER = re.compile(r"(?:.*/)?sa_(\d+)")
_NO_NAME = MaskName(None, 0.0, ())


def export_sa1b(request: ExportRequest) -> ExportSummary:
    """Write sa1b/<image>.json in the fields of SA-1B, pictures beside them if they are asked for.

    With classes each annotation also has class_id, class_name, class_score (null, null, 0.0 for a
    mask without a label), class_proposals and class_proposal_scores (always lists), as SSA writes
    them, and the file has semantic_mask: {class id: run lengths} of the label map.

    Raises:
        SegAssetsError: as `run_export`.
    """
    form = ExportFormat("sa1b", _Writer, needs_classes=False, pictures_folder=FOLDER)
    return run_export(request, form)


class _Writer(FormatWriter):
    def __init__(self, folder: ExportFolder, table: ClassTable | None) -> None:
        super().__init__(folder)
        self._table = table

    def add(self, image: ExportImage) -> None:
        own = _OWN_NUMBER.fullmatch(image.image_id)
        content: dict[str, Any] = {
            "image": {
                "image_id": int(own[1]) if own else image.number,
                "width": image.width,
                "height": image.height,
                "file_name": image.file_name.rpartition("/")[2],
            },
            "annotations": self._annotations(image),
        }
        if self._table is not None:
            classes = encode_segments(image.labels.label_map, IGNORE_ID)
            content["semantic_mask"] = {str(i): rle.to_coco() for i, rle in classes.items()}
        data = json.dumps(content, ensure_ascii=False).encode()
        self.folder.write(f"{FOLDER}/{image.name}.json", data)
        self.objects += len(image.labels.records)

    def _annotations(self, image: ExportImage) -> Sequence[dict[str, Any]]:
        annotations = []
        for mask_id, record in enumerate(image.labels.records):
            annotation = _annotation(record, self.objects + mask_id + 1)
            if self._table is not None:
                name = image.labels.names.get(mask_id, _NO_NAME)
                annotation |= _class_fields(name, self._table)
            annotations.append(annotation)
        return annotations

    def finish(self) -> None:
        if self._table is not None:
            self.folder.write("classes.json", class_list_json(self._table))


def _annotation(record: MaskRecord, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "segmentation": record.rle.to_coco(),
        "bbox": [float(value) for value in record.bbox],
        "area": record.area,
        "predicted_iou": record.predicted_iou,
        "stability_score": record.stability_score,
        "point_coords": [list(point) for point in record.point_coords],
        "crop_box": [float(value) for value in record.crop_box],
    }


def _class_fields(name: MaskName, table: ClassTable) -> dict[str, Any]:
    return {
        "class_id": name.class_id,
        "class_name": None if name.class_id is None else table.names[name.class_id],
        "class_score": name.score,
        "class_proposals": [proposal for proposal, _ in name.proposals],
        "class_proposal_scores": [score for _, score in name.proposals],
    }
