"""Pascal VOC's segmentation: indexed PNGs of objects and of classes, 255 = void.

JPEGImages/<stem>.jpg             or images/<stem>.jpg
SegmentationObject/<stem>.png     the number of the object at each pixel, 0 = none
SegmentationClass/<stem>.png      its class, 0 = background; optional
ImageSets/Segmentation/<split>.txt   stems, where a split is asked for
class_names.txt                   where the classes are not VOC's 20: one name per line,
                                  the background's first
"""

import logging

import numpy as np

from seg_assets.data.files import Folder, StorageOptions, open_folder, read_bytes
from seg_assets.data.formats.folder import find_folder_images
from seg_assets.data.id_maps import read_id_map
from seg_assets.data.images import read_image
from seg_assets.data.instance_image import NO_CLASS, InstanceImage, stack_objects
from seg_assets.errors import ImageError, InputError

logger = logging.getLogger(__name__)

VOID = 255
# The order in which VOC 2007 to 2012 number their classes from 1 on.
# fmt: off
CLASS_NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car",
    "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike",
    "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on

_IMAGE_FOLDERS = ("JPEGImages", "images")
_OBJECTS, _CLASSES = "SegmentationObject", "SegmentationClass"
_SPLITS = "ImageSets/Segmentation"
_NAMES = "class_names.txt"


class VocInstances:
    """The images of a VOC folder that have a PNG of objects, sorted by image id.

    The class of an object is the one that most of its pixels have in SegmentationClass; void pixels
    belong to no object.

    Args:
        path: the folder, VOC2012 in the original's tree.
        split: a list in ImageSets/Segmentation, such as train or val; None for all.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: a folder or list is missing, or an image or a PNG of a stem is.
        StoreError: the storage does not answer.
    """

    def __init__(
        self, path: str, *, split: str | None = None, storage_options: StorageOptions = None
    ) -> None:
        self._storage_options = storage_options
        root = open_folder(path, storage_options)
        objects, classes = _pngs(root, _OBJECTS), _pngs(root, _CLASSES)
        if not objects:
            raise InputError(f"{path} has no PNGs in {_OBJECTS}: give a folder in VOC's layout")
        if split is not None:
            stems = _read_lines(root, f"{_SPLITS}/{split}.txt", storage_options)
            for stem in stems:
                if stem not in objects:
                    raise InputError(
                        f"{path} has no {_OBJECTS}/{stem}.png, which {_SPLITS}/{split}.txt lists: "
                        "put it there"
                    )
            objects = {stem: objects[stem] for stem in sorted(stems)}
        folder = next((n for n in _IMAGE_FOLDERS if root.kind(root.child(n)) == "folder"), None)
        if folder is None:
            raise InputError(f"{path} has no folder {_IMAGE_FOLDERS[0]}: put the images there")
        where = root.uri_of(root.child(folder))
        images = {
            image.image_id: image
            for image in find_folder_images(where, storage_options=storage_options)
        }
        for stem, png in objects.items():
            if stem not in images:
                raise InputError(f"{png} belongs to no image: put {stem}.jpg into {where}")
            if classes and stem not in classes:
                raise InputError(f"{png} has no {_CLASSES}/{stem}.png beside it: put it there")
        self._images = [images[stem] for stem in objects]
        self._objects, self._classes = objects, classes
        self.class_names: tuple[str, ...] = ()
        if classes:
            own = root.kind(root.child(_NAMES)) == "file"
            names = _read_lines(root, _NAMES, storage_options)[1:] if own else CLASS_NAMES
            self.class_names = tuple(names)
        logger.info("%s: %d images", path, len(self._images))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> InstanceImage:
        image = self._images[index]
        pixels = read_image(image, self._storage_options)
        size = (pixels.shape[0], pixels.shape[1])
        id_map = read_id_map(self._objects[image.image_id], size, self._storage_options)
        numbers = np.unique(id_map[(id_map != 0) & (id_map != VOID)])
        masks = [id_map == number for number in numbers]
        class_ids = [NO_CLASS] * len(masks)
        if self._classes:
            uri = self._classes[image.image_id]
            class_map = read_id_map(uri, size, self._storage_options)
            class_ids = [self._class_of(class_map[mask], uri) for mask in masks]
        return stack_objects(image.image_id, pixels, masks, class_ids=class_ids)

    def _class_of(self, values: np.ndarray, uri: str) -> int:
        """The class of most of an object's pixels, (N,) int32."""
        values = values[(values != 0) & (values != VOID)]
        if not len(values):
            return NO_CLASS
        number = int(np.bincount(values).argmax())
        if number > len(self.class_names):
            raise ImageError(
                f"{uri} holds the class {number} of {len(self.class_names)}: name the classes in "
                f"{_NAMES}"
            )
        return number - 1


def _pngs(root: Folder, name: str) -> dict[str, str]:
    """Stem -> URL of the PNGs in a folder, sorted; empty without the folder."""
    folder = Folder(root.filesystem, root.child(name))
    if folder.kind() != "folder":
        return {}
    return {
        file[: -len(".png")]: folder.uri_of(folder.child(file))
        for file in sorted(folder.files())
        if file.lower().endswith(".png")
    }


def _read_lines(root: Folder, name: str, storage_options: StorageOptions) -> list[str]:
    """The lines of a text file that are not empty."""
    path = root.child(name)
    if root.kind(path) != "file":
        raise InputError(f"{root.uri_of(path)} is not there: name a list that exists")
    text = read_bytes(root.uri_of(path), storage_options=storage_options).decode("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]
