"""COCO instances: one JSON file with polygons and run lengths of objects.

annotations/instances_val2017.json
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as default
from functools import cached_property
from typing import Any

import numpy as np

from seg_assets.classes.table import IGNORE_ID, ClassTable, load_class_table
from seg_assets.data.annotation_json import field, image_size, read_json, records
from seg_assets.data.coco_masks import CocoMask, parse_mask
from seg_assets.data.files import StorageOptions, open_folder
from seg_assets.data.formats.folder import image_ids
from seg_assets.data.ground_truth.coco_categories import classes_of_categories
from seg_assets.data.ground_truth.image_names import ImageNames
from seg_assets.data.ground_truth.image_truth import ImageTruth, TrueObject
from seg_assets.data.label_maps import label_table
from seg_assets.data.shards import ImageRef
from seg_assets.errors import ImageError, InputError, UnknownClassError


@dataclass(frozen=True, slots=True)
class _Image:
    height: int
    width: int
    annotations: list[dict[str, Any]] = default(default_factory=list)


class CocoInstances:
    """The images of an instances JSON, also those without any object.

    Objects are as annotated, in the file's order, and may overlap; so there are no segments. In
    the label map crowds lie lowest, then objects by size, so that the smaller one is on top; of
    equal ones the later. Size is counted in pixels of the mask. Crowds have their class there, too.
    What no object covers has no label: the file says nothing of it.

    Args:
        source: the JSON file.
        label_format: coco_instances, or coco_instances:<class table> for other names than COCO's.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: the format or its class table is unknown.
    """

    def __init__(
        self,
        source: str,
        label_format: str = "coco_instances",
        *,
        storage_options: StorageOptions = None,
    ) -> None:
        self.source = source
        self.label_format = label_format
        self.storage_options = storage_options
        self._table = load_class_table(label_table(label_format))

    @property
    def table(self) -> ClassTable:
        """The classes that the categories are matched to."""
        return self._table

    def image_ids(self) -> tuple[str, ...]:
        """Ids of all images that the file lists, sorted."""
        return self._names.sorted

    def find(self, image_id: str) -> str | None:
        """The file's own id of an image; None for one that it does not list."""
        return self._names.find(image_id)

    def label_uri(self, image_id: str) -> str | None:
        """URL of the JSON file, for all images that it lists."""
        return None if self.find(image_id) is None else self.source

    def read(self, image_id: str) -> ImageTruth:
        """Decode the annotations of one image."""
        own = self.find(image_id)
        if own is None:
            raise ImageError(
                f"{self.source} does not list image {image_id}: leave the image out or list it"
            )
        image = self._images[own]
        objects, masks = [], []
        for record in image.annotations:
            found, mask = self._object(record, image)
            objects.append(found)
            masks.append(mask)
        return ImageTruth(_paint(objects, masks, image), objects=tuple(objects))

    def _object(self, record: dict[str, Any], image: _Image) -> tuple[TrueObject, np.ndarray]:
        """One annotation and its mask, (H, W) bool."""
        what = f"annotation {record.get('id', 'without id')} of {self.source}"
        category = field(record, "category_id", int, what)
        if category not in self._class_of:
            raise UnknownClassError(
                f"{what} has the category {category}, which the file does not list: list it there"
            )
        coded = parse_mask(record.get("segmentation"), image.height, image.width, what)
        counts = coded.compressed()
        area = None if record.get("area") is None else field(record, "area", (int, float), what)
        if area is not None and not 0 <= area < math.inf:
            raise ImageError(f"{what} has area = {area}: give its pixels or leave the area out")
        crowd = record.get("iscrowd") or 0
        if crowd not in (0, 1):
            raise ImageError(f"{what} has iscrowd = {crowd!r}: write 0 or 1")
        return (
            TrueObject(self._class_of[category], counts, bool(crowd), area),
            CocoMask(image.height, image.width, counts=counts).decode(what),
        )

    @cached_property
    def _content(self) -> dict[str, Any]:
        if open_folder(self.source, self.storage_options).kind() == "folder":
            raise InputError(f"{self.source} is a folder: give COCO's instances JSON in it")
        try:
            return read_json(ImageRef("annotations", self.source), self.storage_options)
        except ImageError as error:
            raise InputError(str(error)) from error

    @cached_property
    def _class_of(self) -> Mapping[int, int]:
        """Class id by category id."""
        what = f"a category of {self.source}"
        try:
            listed = [
                (field(item, "id", int, what), field(item, "name", str, what))
                for item in records(self._content, "categories", self.source)
            ]
        except ImageError as error:
            raise InputError(str(error)) from error
        return classes_of_categories(listed, self.table, format="coco_instances", where=self.source)

    @cached_property
    def _images(self) -> Mapping[str, _Image]:
        """Image by image id."""
        try:
            found = _group(self._content, self.source)
        except ImageError as error:
            raise InputError(str(error)) from error
        _ = self._class_of  # a file of other categories is refused before any image is asked for
        return {image_id: found[name] for image_id, name in image_ids(found).items()}

    @cached_property
    def _names(self) -> ImageNames:
        return ImageNames(self._images, unique_names=True)


def _group(content: Mapping[str, Any], where: str) -> dict[str, _Image]:
    """File name -> size and annotations of each image.

    Raises:
        ImageError: a list or a field is missing.
        InputError: an image twice, or an annotation of an image that is not listed.
    """
    by_id: dict[int | str, _Image] = {}
    by_name: dict[str, _Image] = {}
    for record in records(content, "images", where):
        number = field(record, "id", (int, str), f"an image of {where}")
        what = f"image {number} of {where}"
        name = field(record, "file_name", str, what)
        if number in by_id or name in by_name:
            raise InputError(f"{what}, {name}, is listed twice: list each image once")
        by_id[number] = by_name[name] = _Image(*image_size(record, what))
    for record in records(content, "annotations", where):
        what = f"annotation {record.get('id', 'without id')} of {where}"
        image = by_id.get(field(record, "image_id", (int, str), what))
        if image is None:
            raise InputError(
                f"{what} belongs to image {record['image_id']}, which is not listed: "
                "list the image or remove the annotation"
            )
        image.annotations.append(record)
    return by_name


def _paint(objects: list[TrueObject], masks: list[np.ndarray], image: _Image) -> np.ndarray:
    """The label map, (H, W) uint8: crowds, then objects from large to small."""
    label_map = np.full((image.height, image.width), IGNORE_ID, np.uint8)
    order = sorted(
        range(len(objects)), key=lambda k: (not objects[k].crowd, -np.count_nonzero(masks[k]))
    )
    for k in order:
        label_map[masks[k]] = objects[k].class_id
    return label_map
