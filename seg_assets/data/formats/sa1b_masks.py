"""SA-1B's masks: sa_<number>.json beside each sa_<number>.jpg, unpacked or inside tar files.

Each JSON has an object `image` (width, height) and a list `annotations` of a run-length mask with
its bbox, area and quality. The masks have no classes.
"""

import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
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
from seg_assets.data.files import StorageOptions, open_folder
from seg_assets.data.formats.folder import is_image_name
from seg_assets.data.formats.sa1b import find_sa1b_files, find_tar_files
from seg_assets.data.images import read_image
from seg_assets.data.instance_image import InstanceImage, stack_objects
from seg_assets.data.shards import ImageRef
from seg_assets.errors import InputError

logger = logging.getLogger(__name__)

_ANNOTATION_SUFFIX = ".json"
_LOOSE_ANNOTATIONS = re.compile(r"(?:.*/)?sa_\d+\.json", re.IGNORECASE)
_SECONDS_BETWEEN_LINES = 10


@dataclass(frozen=True, slots=True)
class _Pair:
    image: ImageRef
    annotations: ImageRef


@dataclass(frozen=True, slots=True)
class _Annotation:
    what: str  # names it in messages
    mask: CocoMask
    box: tuple[float, float, float, float] | None  # x0, y0, x1, y1
    area: float

    @property
    def box_area(self) -> float:
        if self.box is None:
            return 0.0
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)


class Sa1bInstances:
    """The images of SA-1B that have masks, sorted by image id inside each tar and the folder.

    Every annotation file is read once when the data set is opened, to leave out images without
    masks. Boxes are those of the file, whose right and lower edges are the last column and row.

    Args:
        path: a folder with sa_<number>.jpg and .json, with tar files of them, or with both; or one
            tar file.
        min_area: leave out masks of fewer pixels by their `area`, else by width x height of their
            bbox; 10,000 for prompts by text (SAM paper, appendix D.5).
        sort_by_box_area: largest box first; else in the order of the file.
        max_objects: of each image keep the first so many masks; None for all.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: nothing of SA-1B is there, a file of masks has no image, or no mask is left.
        ImageError: an annotation file is truncated or is not what SA-1B writes.
        StoreError: the storage does not answer.
    """

    class_names: tuple[str, ...] = ()

    def __init__(
        self,
        path: str,
        *,
        min_area: float = 0,
        sort_by_box_area: bool = False,
        max_objects: int | None = None,
        storage_options: StorageOptions = None,
    ) -> None:
        self._min_area = min_area
        self._sort_by_box_area = sort_by_box_area
        self._max_objects = max_objects
        self._storage_options = storage_options
        pairs = list(_find_pairs(path, storage_options))
        self._pairs = list(self._with_masks(pairs, path))
        if not self._pairs:
            raise InputError(
                f"no image of {path} has a mask of {min_area:g} pixels or more: "
                f"give images with sa_<number>{_ANNOTATION_SUFFIX} or a smaller min_area"
            )
        logger.info(
            "%s: %d images, %d without masks are left out",
            path,
            len(self._pairs),
            len(pairs) - len(self._pairs),
        )

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> InstanceImage:
        pair = self._pairs[index]
        size, annotations = self._read(pair.annotations)
        pixels = read_image(pair.image, self._storage_options)
        check_pixels(pixels, *size, pair.image.where, pair.annotations.where)
        if self._sort_by_box_area:
            annotations.sort(key=lambda item: -item.box_area)  # a stable sort
        chosen = annotations[: self._max_objects]
        return stack_objects(
            pair.image.image_id,
            pixels,
            [item.mask.decode(item.what) for item in chosen],
            boxes=[item.box for item in chosen],
        )

    def _with_masks(self, pairs: list[_Pair], path: str) -> Iterator[_Pair]:
        told = time.monotonic()
        for number, pair in enumerate(pairs):
            if time.monotonic() - told > _SECONDS_BETWEEN_LINES:
                told = time.monotonic()
                logger.info("%s: masks of %d of %d images looked at", path, number, len(pairs))
            if self._read(pair.annotations)[1]:
                yield pair

    def _read(self, reference: ImageRef) -> tuple[tuple[int, int], list[_Annotation]]:
        """Height and width of the image, and its masks that are large enough."""
        content = read_json(reference, self._storage_options)
        where = reference.where
        size = image_size(field(content, "image", dict, where), where)
        annotations = [
            _annotation(record, *size, where) for record in records(content, "annotations", where)
        ]
        return size, [item for item in annotations if item.area >= self._min_area]


def _annotation(record: dict[str, Any], height: int, width: int, where: str) -> _Annotation:
    what = f"annotation {record.get('id')} of {where}"
    mask = parse_mask(record.get("segmentation"), height, width, what)
    box = corner_box(record, what)
    if record.get("area") is not None or box is None:
        area = float(field(record, "area", (int, float), what))
    else:
        area = (box[2] - box[0]) * (box[3] - box[1])
    return _Annotation(what, mask, box, area)


def _find_pairs(path: str, storage_options: StorageOptions) -> Iterator[_Pair]:
    """Each image with its annotations: those in tar files first, sorted by name."""
    files = find_sa1b_files(path, storage_options)
    seen: dict[str, str] = {}
    sources = [(uri, _tar_members(uri, storage_options)) for uri in files.tars.values()]
    if files.loose:
        sources.append((path, _loose_files(path, files.loose, storage_options)))
    for where, (images, annotations) in sources:
        unpaired = sorted(annotations.keys() - images.keys())
        if unpaired:
            raise InputError(
                f"{annotations[unpaired[0]].where} has no image {unpaired[0]}.jpg beside it: "
                "put the image there or remove the annotations"
            )
        for name in sorted(images.keys() & annotations.keys()):
            other = seen.setdefault(name, where)
            if other != where:
                raise InputError(f"{where} and {other} both hold the image {name}: remove one")
            yield _Pair(images[name], annotations[name])
        bare = len(images) - len(annotations)
        if bare:
            logger.warning("%s: %d images without a file of masks are left out", where, bare)


def _tar_members(
    uri: str, storage_options: StorageOptions
) -> tuple[dict[str, ImageRef], dict[str, ImageRef]]:
    """Images and annotation files of a tar, by name without extension."""
    files = find_tar_files(
        uri,
        lambda name: is_image_name(name) or name.lower().endswith(_ANNOTATION_SUFFIX),
        storage_options=storage_options,
    )
    images: dict[str, ImageRef] = {}
    annotations: dict[str, ImageRef] = {}
    for name, file in files.items():
        stem = str(PurePosixPath(name).with_suffix(""))
        reference = ImageRef(stem, file.uri, file.offset, file.size)
        (images if is_image_name(name) else annotations)[stem] = reference
    return images, annotations


def _loose_files(
    path: str, loose: list[ImageRef], storage_options: StorageOptions
) -> tuple[dict[str, ImageRef], dict[str, ImageRef]]:
    """Unpacked images and annotation files, by name without extension."""
    folder = open_folder(path, storage_options)
    images = {image.image_id: image for image in loose}
    return images, {
        name[: -len(_ANNOTATION_SUFFIX)]: ImageRef(name, folder.uri_of(folder.child(name)))
        for name in folder.files()
        if _LOOSE_ANNOTATIONS.fullmatch(name)
    }
