"""Pascal VOC's segmentation: indexed PNGs, 0 = background, 255 = void.

VOC2012/SegmentationClass/<stem>.png      the class at each pixel
VOC2012/SegmentationObject/<stem>.png     the number of the object; optional
VOC2012/class_names.txt                   names, where a tool has written them
"""

import numpy as np

from seg_assets.classes.table import IGNORE_ID
from seg_assets.data.files import Folder, open_folder, read_bytes
from seg_assets.data.ground_truth.image_truth import ImageTruth
from seg_assets.data.ground_truth.label_files import LabelFiles, label_folder, png_files
from seg_assets.data.ground_truth.segments import truth_of_numbers
from seg_assets.data.id_maps import read_id_map
from seg_assets.errors import InputError

CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
_NAMES = "class_names.txt"


class VocLabels(LabelFiles):
    """Classes; with SegmentationObject also segments and objects.

    Background is one segment, so that what a prediction finds there is wrong; void pixels are in
    none. Pixels of a class without an object's number are a crowd.
    """

    unique_names = True

    def list_files(self) -> dict[str, str]:
        """Image id -> URL of the PNG in SegmentationClass."""
        folder = _class_folder(label_folder(self.source, self.storage_options), self.source)
        if self.label_format == "voc":
            self._check_names(folder.parent)
        return png_files(folder)

    def read_file(self, uri: str) -> ImageTruth:
        """Read the classes and, where they lie beside, the objects."""
        classes = super().read_file(uri)
        before, found, after = uri.rpartition(CLASSES)
        objects = f"{before}{OBJECTS}{after}"
        if not found or open_folder(objects, self.storage_options).kind() != "file":
            return classes
        numbers = read_id_map(objects, classes.label_map.shape, self.storage_options)
        numbers = np.where(numbers == IGNORE_ID, 0, numbers)
        return truth_of_numbers(classes.label_map, numbers, self.table)

    def _check_names(self, root: Folder) -> None:
        """Refuse a folder whose own list of names has other classes than VOC."""
        path = root.child(_NAMES)
        if root.kind(path) != "file":
            return
        data = read_bytes(root.uri_of(path), storage_options=self.storage_options)
        names = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
        if [_plain(name) for name in names if name] != [_plain(name) for name in self.table.names]:
            raise InputError(
                f"{root.uri_of(path)} names other classes than Pascal VOC: give the label format "
                "voc:<class table> with a table of these classes"
            )


def _class_folder(folder: Folder, source: str) -> Folder:
    """The folder SegmentationClass of what a user may name: itself, its parent, VOCdevkit."""
    if folder.name == CLASSES:
        return folder
    years = [name for name in folder.top_folders() if name.startswith("VOC")]
    tried = [folder.child(CLASSES), *(folder.child(f"{year}/{CLASSES}") for year in years)]
    found = [path for path in tried if folder.kind(path) == "folder"]
    if len(found) != 1:
        there = f"several of them ({', '.join(found)})" if found else f"no folder {CLASSES}"
        raise InputError(f"{source} has {there}: give one folder in VOC's layout, as VOC2012")
    return Folder(folder.filesystem, found[0])


def _plain(name: str) -> str:
    """A class name without the signs in which tools differ (tv/monitor, potted plant)."""
    return "".join(sign for sign in name.lower() if sign.isalnum())
