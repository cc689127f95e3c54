"""COCO panoptic: one JSON file, and a PNG of segments per image.

annotations/panoptic_val2017.json
annotations/panoptic_val2017/000000142238.png     R + 256 G + 65536 B = segment id, black = none
"""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from seg_assets.classes.table import IGNORE_ID, ClassTable, load_class_table
from seg_assets.data.files import Folder, StorageOptions, open_folder, read_bytes
from seg_assets.data.formats.folder import image_ids
from seg_assets.data.ground_truth.coco_categories import classes_of_categories
from seg_assets.data.ground_truth.image_names import ImageNames
from seg_assets.data.ground_truth.image_truth import ImageTruth
from seg_assets.data.ground_truth.segments import truth_of_segments
from seg_assets.data.label_maps import label_table
from seg_assets.data.panoptic.layout import PANOPTIC
from seg_assets.data.panoptic.panoptic_json import PanopticFile, PanopticImage, parse_panoptic_json
from seg_assets.data.panoptic.panoptic_png import decode_panoptic
from seg_assets.data.panoptic.segments import SegmentedImage, row_runs
from seg_assets.errors import ImageError, InputError, UnknownClassError


class CocoPanoptic:
    """The annotated images of a panoptic JSON: classes, segments, and the things as objects.

    Crowds have their class in label maps. Images are found by the names of their files.

    Args:
        source: the JSON file.
        label_format: coco_panoptic, or coco_panoptic:<class table> for other names than COCO's.
        png_folder: the folder of the PNGs; by default the one named like the JSON beside it, else
            the one called panoptic.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: the format or its class table is unknown.
    """

    def __init__(
        self,
        source: str,
        label_format: str = "coco_panoptic",
        *,
        png_folder: str | None = None,
        storage_options: StorageOptions = None,
    ) -> None:
        self.source = source
        self.label_format = label_format
        self.storage_options = storage_options
        self._png_folder = png_folder
        self._table = load_class_table(label_table(label_format))

    @property
    def table(self) -> ClassTable:
        """The classes that the categories are matched to."""
        return self._table

    def image_ids(self) -> tuple[str, ...]:
        """Ids of all images with an annotation, sorted."""
        return self._names.sorted

    def find(self, image_id: str) -> str | None:
        """The file's own id of an annotated image; None for another."""
        return self._names.find(image_id)

    def label_uri(self, image_id: str) -> str | None:
        """URL of an image's PNG; None for an image without annotation."""
        own = self.find(image_id)
        if own is None:
            return None
        return self._folder.uri_of(self._folder.child(self._images[own].map_name))

    def read(self, image_id: str) -> ImageTruth:
        """Read the segments of one image."""
        own, uri = self.find(image_id), self.label_uri(image_id)
        if own is None or uri is None:
            raise ImageError(
                f"{self.source} does not annotate image {image_id}: leave the image out or give "
                "its annotation"
            )
        image = self._images[own]
        ids = decode_panoptic(read_bytes(uri, storage_options=self.storage_options), uri)
        if ids.shape != (image.height, image.width):
            raise ImageError(
                f"{uri} is {ids.shape[0]} x {ids.shape[1]} pixels, but {self.source} says "
                f"{image.height} x {image.width}: give the PNG of this image"
            )
        _check_segments(ids, image, uri, self.source)
        for segment in image.segments:
            if segment.category_id not in self._class_of:
                raise UnknownClassError(
                    f"segment {segment.id} of {own} in {self.source} has the category "
                    f"{segment.category_id}, which the file does not list: list it there"
                )
        segmented = SegmentedImage(ids, image.segments)
        classes = {item.id: self._class_of[item.category_id] for item in image.segments}
        label_map = segmented.lookup(classes, IGNORE_ID).astype(np.uint8)
        return truth_of_segments(label_map, segmented, self._class_of, self._things)

    @cached_property
    def _content(self) -> PanopticFile:
        try:
            data = read_bytes(self.source, storage_options=self.storage_options)
        except ImageError as error:
            raise InputError(f"{self.source} cannot be read: give a panoptic JSON file") from error
        return parse_panoptic_json(data, self.source)

    @cached_property
    def _class_of(self) -> Mapping[int, int]:
        """Class id by category id."""
        return classes_of_categories(
            ((item.id, item.name) for item in self._content.categories.categories),
            self.table,
            format="coco_panoptic",
            where=self.source,
        )

    @cached_property
    def _things(self) -> frozenset[int]:
        """Classes whose objects the file tells apart."""
        categories = self._content.categories.categories
        return frozenset(self._class_of[item.id] for item in categories if item.is_thing)

    @cached_property
    def _images(self) -> Mapping[str, PanopticImage]:
        """Annotated image by image id."""
        annotated = {i.file_name: i for i in self._content.images if i.map_name}
        if len(annotated) < sum(bool(image.map_name) for image in self._content.images):
            raise InputError(f"{self.source} lists a file of an image twice: list each once")
        ids = image_ids(annotated)
        _ = self._class_of  # a file of other categories is refused before any image is asked for
        return {image_id: annotated[name] for image_id, name in ids.items()}

    @cached_property
    def _names(self) -> ImageNames:
        return ImageNames(self._images, unique_names=True)

    @cached_property
    def _folder(self) -> Folder:
        if self._png_folder is not None:
            return open_folder(self._png_folder, self.storage_options)
        file = open_folder(self.source, self.storage_options)
        beside = file.parent
        tried = [beside.child(name) for name in (file.name.removesuffix(".json"), PANOPTIC)]
        for path in tried:
            if beside.kind(path) == "folder":
                return Folder(file.filesystem, path)
        raise InputError(
            f"the PNGs of {self.source} are in none of {', '.join(dict.fromkeys(tried))}: put "
            "their folder beside the JSON and name it like it"
        )


def _check_segments(ids: np.ndarray, image: PanopticImage, uri: str, where: str) -> None:
    """Refuse a PNG and a list of segments that are not of one image.

    Raises:
        ImageError: an id twice in the list, in the list only, or in the PNG only.
    """
    listed = Counter(segment.id for segment in image.segments)
    twice = [segment for segment, count in listed.items() if count > 1]
    if twice:
        raise ImageError(f"{where} lists segment {twice[0]} of {uri} twice: list it once")
    present = set(np.unique(row_runs(ids).values).tolist()) - {0}
    if stray := present - listed.keys():
        raise ImageError(
            f"{uri} holds segment {min(stray)}, which {where} does not list: give PNGs and JSON of "
            "one release"
        )
    if absent := listed.keys() - present:
        raise ImageError(
            f"{where} lists segment {min(absent)}, which {uri} does not hold: give PNGs and JSON "
            "of one release"
        )
