"""SA-1B's form: a JSON per image with its masks, and their names where the store has them."""

import json
from collections.abc import Sequence
from typing import Any

from seg_assets.classes.table import ClassTable
from seg_assets.data.formats.sa1b import sa1b_number
from seg_assets.exports.class_list import class_list_json
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.format import ExportFormat, ExportImage, FormatWriter
from seg_assets.exports.labels import MaskName
from seg_assets.exports.request import ExportRequest, ExportSummary
from seg_assets.exports.run import run_export
from seg_assets.labels.ssa_json import class_fields, semantic_mask
from seg_assets.masks.annotations import annotation
from seg_assets.masks.records import MaskRecord

FOLDER = "sa1b"
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
        own = sa1b_number(image.image_id)
        content: dict[str, Any] = {
            "image": {
                "image_id": image.number if own is None else own,
                "width": image.width,
                "height": image.height,
                "file_name": image.file_name.rpartition("/")[2],
            },
            "annotations": self._annotations(image),
        }
        if self._table is not None:
            content["semantic_mask"] = semantic_mask(image.labels.label_map)
        data = json.dumps(content, ensure_ascii=False).encode()
        self.folder.write(f"{FOLDER}/{image.name}.json", data)
        self.objects += len(image.labels.records)

    def _annotations(self, image: ExportImage) -> Sequence[dict[str, Any]]:
        annotations = []
        for mask_id, record in enumerate(image.labels.records):
            fields = _fields(record, self.objects + mask_id + 1)
            if self._table is not None:
                name = image.labels.names.get(mask_id, _NO_NAME)
                fields |= class_fields(name.class_id, name.score, name.proposals, self._table)
            annotations.append(fields)
        return annotations

    def finish(self) -> None:
        if self._table is not None:
            self.folder.write("classes.json", class_list_json(self._table))


def _fields(record: MaskRecord, number: int) -> dict[str, Any]:
    fields = {"id": number, **annotation(record, "coco_rle")}
    for box in ("bbox", "crop_box"):
        fields[box] = [float(value) for value in fields[box]]  # as in SA-1B's own files
    return fields
