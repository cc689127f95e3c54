"""A folder of label maps: indexed PNGs in the classes' colours, beside a list of the classes."""

from seg_assets.classes.table import ClassTable
from seg_assets.exports.class_list import class_list_csv, class_list_json
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.format import ExportFormat, ExportImage, FormatWriter, required
from seg_assets.exports.request import ExportRequest, ExportSummary
from seg_assets.exports.run import run_export

FOLDER = "labels"


def export_semantic_png(request: ExportRequest) -> ExportSummary:
    """Write labels/<image>.png with a class id per pixel (255 = no label), and the classes.

    The PNGs are those of the store, byte for byte.

    Raises:
        SegAssetsError: as `run_export`.
    """
    return run_export(request, ExportFormat("semantic_png", _Writer, needs_masks=False))


class _Writer(FormatWriter):
    def __init__(self, folder: ExportFolder, table: ClassTable | None) -> None:
        super().__init__(folder)
        self._table = required(table)

    def add(self, image: ExportImage) -> None:
        self.folder.write(f"{FOLDER}/{image.name}.png", image.labels.label_png)

    def finish(self) -> None:
        self.folder.write("classes.json", class_list_json(self._table))
        self.folder.write("classes.csv", class_list_csv(self._table))
