"""COCO's panoptic format: a PNG of segment ids per image, and one JSON that says what they are."""

from functools import partial

from seg_assets.classes.table import ClassTable
from seg_assets.data.panoptic.json_list import JsonList, write_json_object
from seg_assets.data.panoptic.layout import MAP_SUFFIX, PANOPTIC, PANOPTIC_JSON
from seg_assets.data.panoptic.panoptic_json import PanopticImage
from seg_assets.data.panoptic.panoptic_png import encode_panoptic
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.format import ExportFormat, ExportImage, FormatWriter, required
from seg_assets.exports.request import ExportRequest, ExportSummary
from seg_assets.exports.run import run_export
from seg_assets.exports.segments import cut_image
from seg_assets.exports.things import categories_of
from seg_assets.storage.files import explained


def export_coco_panoptic(request: ExportRequest) -> ExportSummary:
    """Write panoptic/<image>.png (id = R + 256 G + 65536 B) and panoptic.json.

    Things are segments one by one, each stuff class is one segment of the image; thing pixels in no
    mask are a crowd of their class. With pictures the folder is a split that `open_panoptic` reads.

    Raises:
        SegAssetsError: as `run_export`.
    """
    form = ExportFormat("coco_panoptic", partial(_Writer, things=request.things))
    return run_export(request, form)


class _Writer(FormatWriter):
    def __init__(
        self, folder: ExportFolder, table: ClassTable | None, *, things: tuple[str, ...] | None
    ) -> None:
        super().__init__(folder)
        self._categories = categories_of(required(table), things)
        self._images = self.stack.enter_context(JsonList(folder.hidden))
        self._annotations = self.stack.enter_context(JsonList(folder.hidden))

    def add(self, image: ExportImage) -> None:
        segmented = cut_image(image, self._categories).segmented
        entry = PanopticImage(
            image.number,
            image.file_name,
            image.height,
            image.width,
            f"{image.name}{MAP_SUFFIX}",
            segmented.segments,
        )
        self.folder.write(f"{PANOPTIC}/{entry.map_name}", encode_panoptic(segmented.ids))
        with explained("write", str(self.folder.out / PANOPTIC_JSON)):
            self._images.add(entry.image_json())
            self._annotations.add(entry.annotation_json())
        self.objects += len(segmented.segments)

    def finish(self) -> None:
        sections = {
            "info": {"description": "exported by seg_assets"},
            "licenses": [],
            "images": self._images,
            "annotations": self._annotations,
            "categories": self._categories.to_json(),
        }
        with explained("write", str(self.folder.out / PANOPTIC_JSON)):
            write_json_object(self.folder.path(PANOPTIC_JSON), sections)
