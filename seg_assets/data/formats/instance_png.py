"""A folder of images and PNGs of their objects.

images/<stem>.jpg            any image; folders below are part of the stem
instances/<stem>.png         the number of the object at each pixel, 8 or 16 bits, 0 = none
instances/<stem>/<any>.png   or a PNG per object: it is where a pixel is not 0
classes.json                 optional, {"1": "liver", ...}: the numbers in <stem>.png are classes
"""

import json
import logging
from dataclasses import dataclass

import numpy as np

from seg_assets.data.annotation_json import read_json
from seg_assets.data.files import Folder, StorageOptions, open_folder
from seg_assets.data.formats.folder import find_folder_images
from seg_assets.data.id_maps import read_id_map
from seg_assets.data.images import read_image
from seg_assets.data.instance_image import NO_CLASS, InstanceImage, stack_objects
from seg_assets.data.shards import ImageRef
from seg_assets.errors import ImageError, InputError

logger = logging.getLogger(__name__)

IMAGES, INSTANCES, CLASSES = "images", "instances", "classes.json"
_SUFFIX = ".png"


@dataclass(frozen=True, slots=True)
class _Entry:
    image: ImageRef
    id_map: str | None  # its URL
    objects: tuple[str, ...]  # URLs of one PNG per object


class PngInstances:
    """The images of such a folder that have PNGs, sorted by image id.

    Objects come in the order of their numbers, or of their files' names. Without classes.json, and
    for objects in files of their own, there are no classes; with it, an image has one mask per
    class. A map without objects gives an image without objects.

    Args:
        path: the folder with images/ and instances/.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: a folder is missing, no image has PNGs, or PNGs have no image.
        ImageError: classes.json is damaged.
        StoreError: the storage does not answer.
    """

    def __init__(self, path: str, *, storage_options: StorageOptions = None) -> None:
        self._storage_options = storage_options
        root = open_folder(path, storage_options)
        names = _class_names(root, storage_options)
        self.class_names: tuple[str, ...] = tuple(names.values())
        self._class_of = {number: class_id for class_id, number in enumerate(names)}
        masks = Folder(root.filesystem, root.child(INSTANCES))
        if masks.kind() != "folder":
            raise InputError(f"{path} has no folder {INSTANCES}: put the PNGs of objects there")
        where = root.uri_of(root.child(IMAGES))
        images = find_folder_images(where, storage_options=storage_options)
        self._entries = _pair(images, masks)
        bare = len(images) - len(self._entries)
        if not self._entries:
            raise InputError(
                f"no image of {where} has a PNG in {masks.uri_of(masks.path)}: "
                f"name it {images[0].image_id}{_SUFFIX}"
            )
        logger.info("%s: %d images, %d without PNGs left out", path, len(self._entries), bare)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> InstanceImage:
        entry = self._entries[index]
        pixels = read_image(entry.image, self._storage_options)
        size = (pixels.shape[0], pixels.shape[1])
        masks: list[np.ndarray] = []
        class_ids: list[int] = []
        if entry.id_map is not None:
            id_map = read_id_map(entry.id_map, size, self._storage_options)
            for number in np.unique(id_map[id_map != 0]).tolist():
                masks.append(id_map == number)
                class_ids.append(self._class_id(number, entry.id_map))
        for uri in entry.objects:
            masks.append(read_id_map(uri, size, self._storage_options) != 0)
            class_ids.append(NO_CLASS)
        return stack_objects(entry.image.image_id, pixels, masks, class_ids=class_ids)

    def _class_id(self, number: int, uri: str) -> int:
        if not self._class_of:
            return NO_CLASS
        if number not in self._class_of:
            raise ImageError(f"{uri} holds {number}, which {CLASSES} does not name: name it there")
        return self._class_of[number]


def _pair(images: list[ImageRef], masks: Folder) -> list[_Entry]:
    """Give each PNG to the image of its name, else to that of its folder's name."""
    known = {image.image_id for image in images}
    maps: dict[str, str] = {}
    objects: dict[str, list[str]] = {}
    for name in sorted(name for name in masks.files() if name.lower().endswith(_SUFFIX)):
        stem, uri = name[: -len(_SUFFIX)], masks.uri_of(masks.child(name))
        folder = stem.rpartition("/")[0]
        if stem in known:
            maps[stem] = uri
        elif folder in known:
            objects.setdefault(folder, []).append(uri)
        else:
            raise InputError(
                f"{uri} belongs to no image: put {stem}.jpg or the like into {IMAGES} or remove it"
            )
    return [
        _Entry(image, maps.get(image.image_id), tuple(objects.get(image.image_id, ())))
        for image in images
        if image.image_id in maps or image.image_id in objects
    ]


def _class_names(root: Folder, storage_options: StorageOptions) -> dict[int, str]:
    """Number in the PNGs -> name, in the order of the numbers; empty without classes.json."""
    where = root.uri_of(root.child(CLASSES))
    if root.kind(root.child(CLASSES)) is None:
        return {}
    content = read_json(ImageRef(CLASSES, where), storage_options)
    for number, name in content.items():
        if not (number.isdecimal() and int(number) > 0 and isinstance(name, str) and name):
            raise ImageError(
                f"{where} has the entry {json.dumps({number: name})}: write a number from 1 on "
                "and a name, both as text"
            )
    return {int(number): content[number] for number in sorted(content, key=int)}
