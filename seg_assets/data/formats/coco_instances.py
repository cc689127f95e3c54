"""COCO instances: one JSON file with images, categories and annotations, and a folder of images.

annotations/instances_val2017.json
val2017/000000006818.jpg
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seg_assets.data.annotation_json import (
    check_pixels,
    corner_box,
    field,
    image_size,
    read_json,
    records,
)
from seg_assets.data.coco_masks import CocoMask, parse_mask
from seg_assets.data.files import Folder, StorageOptions, open_folder
from seg_assets.data.formats.folder import image_ids
from seg_assets.data.images import read_image
from seg_assets.data.instance_image import InstanceImage, stack_objects
from seg_assets.data.shards import ImageRef
from seg_assets.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Annotation:
    name: int | str
    mask: CocoMask
    box: tuple[float, float, float, float] | None  # x0, y0, x1, y1
    class_id: int
    crowd: bool


@dataclass(frozen=True, slots=True)
class _Image:
    file_name: str
    height: int
    width: int
    annotations: list[_Annotation]


class CocoInstances:
    """The images of a COCO instances file that have annotations, in the order of the file.

    Class ids count the file's categories in the order in which it lists them. Boxes are those of
    the file; where one is missing or has no extent, that of the mask. An object whose polygons
    cover no pixel is left out when its image is read.

    Args:
        path: the JSON file.
        images: the folder of its images; by default the folder named after the split (val2017 for
            instances_val2017.json) beside the file or beside its folder, also inside a folder
            called images.
        crowd: keep the masks of groups (iscrowd), which `InstanceImage.crowd` tells apart.
        max_objects: of each image keep the first so many objects; None for all.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: the file or an image is missing, or nothing is annotated.
        ImageError: the file is truncated or an annotation is not what COCO writes.
        StoreError: the storage does not answer.
    """

    def __init__(
        self,
        path: str,
        *,
        images: str | os.PathLike[str] | None = None,
        crowd: bool = True,
        max_objects: int | None = None,
        storage_options: StorageOptions = None,
    ) -> None:
        file = open_folder(path, storage_options)
        if file.kind() != "file":
            raise InputError(f"{path} is not there: give a COCO instances file that exists")
        self._where = file.uri_of(file.path)
        self._storage_options = storage_options
        self._max_objects = max_objects
        content = read_json(ImageRef(file.name, self._where), storage_options)
        class_of, self.class_names = _classes(content, self._where)
        listed = _listed_images(content, self._where)
        _add_annotations(listed, content, class_of, self._where, crowd=crowd)
        self._images = [image for image in listed.values() if image.annotations]
        if not self._images:
            raise InputError(f"{self._where} annotates no object: give a file with annotations")
        folder = _image_folder(file) if images is None else open_folder(images, storage_options)
        self._references = _references(self._images, folder, self._where)
        logger.info(
            "%s: %d images with %d objects, %d images without any are left out",
            self._where,
            len(self._images),
            sum(len(image.annotations) for image in self._images),
            len(listed) - len(self._images),
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> InstanceImage:
        image, reference = self._images[index], self._references[index]
        pixels = read_image(reference, self._storage_options)
        check_pixels(pixels, image.height, image.width, reference.where, self._where)
        chosen = image.annotations[: self._max_objects]
        return stack_objects(
            reference.image_id,
            pixels,
            [item.mask.decode(f"annotation {item.name} of {self._where}") for item in chosen],
            boxes=[item.box for item in chosen],
            class_ids=[item.class_id for item in chosen],
            crowd=[item.crowd for item in chosen],
        )


def _classes(content: Mapping[str, Any], where: str) -> tuple[dict[int, int], tuple[str, ...]]:
    """Category id -> class id, and the class names."""
    categories = records(content, "categories", where)
    what = f"a category of {where}"
    class_of = {field(item, "id", int, what): number for number, item in enumerate(categories)}
    if len(class_of) != len(categories):
        raise InputError(f"{where} lists a category twice: give each an id of its own")
    return class_of, tuple(field(item, "name", str, what) for item in categories)


def _listed_images(content: Mapping[str, Any], where: str) -> dict[int | str, _Image]:
    listed: dict[int | str, _Image] = {}
    for record in records(content, "images", where):
        name = field(record, "id", (int, str), f"an image of {where}")
        what = f"image {name} of {where}"
        if name in listed:
            raise InputError(f"{what} is listed twice: give each image an id of its own")
        listed[name] = _Image(
            field(record, "file_name", str, what), *image_size(record, what), annotations=[]
        )
    return listed


def _add_annotations(
    listed: Mapping[int | str, _Image],
    content: Mapping[str, Any],
    class_of: Mapping[int, int],
    where: str,
    *,
    crowd: bool,
) -> None:
    for record in records(content, "annotations", where):
        name = record.get("id", "without id")
        what = f"annotation {name} of {where}"
        image = listed.get(field(record, "image_id", (int, str), what))
        if image is None:
            raise InputError(
                f"{what} belongs to image {record['image_id']}, which is not listed: "
                "list the image or remove the annotation"
            )
        class_id = class_of.get(field(record, "category_id", int, what))
        if class_id is None:
            raise InputError(
                f"{what} has the category {record['category_id']}, which is not listed: "
                "list the category or remove the annotation"
            )
        is_crowd = bool(record.get("iscrowd", 0))
        if is_crowd and not crowd:
            continue
        mask = parse_mask(record.get("segmentation"), image.height, image.width, what)
        image.annotations.append(
            _Annotation(name, mask, corner_box(record, what), class_id, is_crowd)
        )


def _references(images: Sequence[_Image], folder: Folder, where: str) -> list[ImageRef]:
    """Where each image lies, after a look whether all do."""
    there = set(folder.files()) if folder.kind() == "folder" else set()
    ids = {name: image_id for image_id, name in image_ids(i.file_name for i in images).items()}
    if len(ids) != len(images):
        raise InputError(f"{where} lists a file of an image twice: list each once")
    for image in images:
        if image.file_name not in there:
            raise InputError(
                f"{image.file_name}, an image of {where}, is not in "
                f"{folder.uri_of(folder.path)}: put it there or name another folder of images"
            )
    return [
        ImageRef(ids[image.file_name], folder.uri_of(folder.child(image.file_name)))
        for image in images
    ]


def _image_folder(file: Folder) -> Folder:
    """Where the images of instances_<split>.json lie in the layouts that people use."""
    split = file.name.removesuffix(".json").removeprefix("instances_")
    beside = file.parent
    tried = [
        f"{parent.path}/{inside}{split}"
        for parent in (beside, beside.parent)
        for inside in ("", "images/")
    ]
    for path in tried:
        if beside.kind(path) == "folder":
            return Folder(file.filesystem, path)
    raise InputError(
        f"the images of {file.uri_of(file.path)} are in none of {', '.join(tried)}: "
        "name their folder with the option images"
    )
