"""CVAT's "Segmentation mask 1.1": a zip per shard with class and object masks in colours."""

import io
import zipfile
from collections.abc import Mapping
from functools import partial

import numpy as np
from PIL import Image

from seg_assets.classes.table import ClassTable
from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.segments import SegmentedImage
from seg_assets.errors import InputError
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.format import ExportFormat, ExportImage, FormatWriter, required
from seg_assets.exports.request import ExportRequest, ExportSummary
from seg_assets.exports.run import run_export
from seg_assets.exports.segments import cut_image
from seg_assets.exports.things import categories_of
from seg_assets.storage.files import explained

CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
IMAGE_LIST, LABEL_MAP = "ImageSets/Segmentation/default.txt", "labelmap.txt"
BACKGROUND = "background"

MAX_OBJECTS = 255
"""CVAT knows the colours of so many objects in an image (those of Pascal VOC, of one byte)."""

_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the same labels give the same bytes


def export_cvat(request: ExportRequest) -> ExportSummary:
    """Write <shard>.zip for each shard, to upload as annotations of a task with its images.

    Things are objects one by one, each stuff class is one object of an image. Where there are more
    than 255 objects, the smallest ones of a class are one.

    Raises:
        InputError: a class has a name that the list of labels cannot hold.
        SegAssetsError: as `run_export`.
    """
    return run_export(request, ExportFormat("cvat", partial(_Writer, things=request.things)))


class _Writer(FormatWriter):
    def __init__(
        self, folder: ExportFolder, table: ClassTable | None, *, things: tuple[str, ...] | None
    ) -> None:
        super().__init__(folder)
        self._categories = categories_of(required(table), things)
        self._label_map = _label_map(self._categories)
        self._colors = np.zeros((256, 3), np.uint8)
        self._colors[: len(self._categories)] = [c.color for c in self._categories.categories]
        self._zip: zipfile.ZipFile | None = None
        self._names: list[str] = []

    def add(self, image: ExportImage) -> None:
        segmented = cut_image(image, self._categories).segmented
        numbers = number_objects(segmented)
        classes = _png(self._colors[image.labels.label_map])
        objects = _png(object_colors(MAX_OBJECTS + 1)[segmented.lookup(numbers, 0)])
        if self._zip is None:
            path = self.folder.path(f"{image.shard}.zip")
            self._zip = self.stack.enter_context(zipfile.ZipFile(path, "w"))
        self._write(f"{CLASSES}/{image.name}.png", classes)
        self._write(f"{OBJECTS}/{image.name}.png", objects)
        self._names.append(image.name)
        self.objects += len(set(numbers.values()))

    def end_shard(self, shard: str) -> None:
        if self._zip is None:
            return
        self._write(IMAGE_LIST, "".join(f"{name}\n" for name in self._names).encode())
        self._write(LABEL_MAP, self._label_map)
        with explained("write", str(self.folder.out / f"{shard}.zip")):
            self.stack.close()
        self._zip, self._names = None, []

    def _write(self, name: str, data: bytes) -> None:
        if self._zip is not None:
            with explained("write", f"{self.folder.out}: {name}"):
                self._zip.writestr(zipfile.ZipInfo(name, _NO_TIME), data)


def number_objects(segmented: SegmentedImage) -> Mapping[int, int]:
    """Give each segment a number from 1 to 255; only segments of one class may share one.

    Args:
        segmented: the segments.

    Returns:
        segment id -> number.
    """
    segments = segmented.segments
    if len(segments) <= MAX_OBJECTS:
        return {segment.id: number for number, segment in enumerate(segments, 1)}
    largest = sorted(segments, key=lambda segment: -segment.area)
    alone = MAX_OBJECTS - len({segment.category_id for segment in segments})
    numbers = {segment.id: number for number, segment in enumerate(largest[:alone], 1)}
    shared: dict[int, int] = {}
    for segment in largest[alone:]:
        number = shared.setdefault(segment.category_id, alone + len(shared) + 1)
        numbers[segment.id] = number
    return numbers


def object_colors(count: int) -> np.ndarray:
    """Pascal VOC's colours of objects, (count, 3) uint8 RGB; the first is black, for none.

    The bits of a number, three by three from the lowest, are the bits of red, green and blue from
    the highest. Source: VOClabelcolormap of the VOC 2012 development kit.
    """
    numbers = np.arange(count)
    colors = np.zeros((count, 3), np.uint8)
    for place in range(8):
        for channel in range(3):
            bit = numbers >> (3 * place + channel) & 1
            colors[:, channel] |= (bit << (7 - place)).astype(np.uint8)
    return colors


def _label_map(categories: CategoryTable) -> bytes:
    lines = ["# label:color_rgb:parts:actions", f"{BACKGROUND}:0,0,0::"]
    for item in categories.categories:
        if item.name.startswith("#") or any(sign in item.name for sign in ":\n\r"):
            raise InputError(
                f"CVAT's list of labels cannot hold the name {item.name!r}: give the class another"
            )
        lines.append("{}:{},{},{}::".format(item.name, *item.color))
    return ("\n".join(lines) + "\n").encode()


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", compress_type=Image.RLE)
    return file.getvalue()
