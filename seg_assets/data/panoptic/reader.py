"""Reads a training data set: a split's images with segments and sentences, one at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from seg_assets.data.files import Folder, StorageOptions, open_folder, read_bytes
from seg_assets.data.images import read_image
from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.grounding_json import Referral, parse_grounding_json
from seg_assets.data.panoptic.layout import (
    GROUNDING_JSON,
    IMAGES,
    PANOPTIC,
    PANOPTIC_JSON,
    UPSTREAM_PANOPTIC_JSON,
)
from seg_assets.data.panoptic.panoptic_json import PanopticImage, parse_panoptic_json
from seg_assets.data.panoptic.panoptic_png import decode_panoptic
from seg_assets.data.panoptic.segments import SegmentedImage
from seg_assets.errors import ImageError, InputError


@dataclass(frozen=True, eq=False)
class PanopticSample:
    """One image of a split.

    Attributes:
        image_id: number of the image in the panoptic JSON.
        stem: name of its files without extension.
        image: (H, W, 3) uint8 RGB.
        segmented: segment ids (H, W) int32 and the list of segments.
        referrals: what sentences mean; empty where training falls back to class names.
    """

    image_id: int
    stem: str
    image: np.ndarray
    segmented: SegmentedImage
    referrals: tuple[Referral, ...]


class PanopticDataset:
    """A split on disk. Listings and JSON are read once; pictures when they are asked for.

    Cheap to pickle for the workers of a data loader.
    """

    def __init__(
        self,
        folder: Folder,
        images: tuple[PanopticImage, ...],
        categories: CategoryTable,
        referrals: Mapping[int, tuple[Referral, ...]],
    ) -> None:
        self.folder = folder
        self.images = images
        self.categories = categories
        self._referrals = referrals

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> PanopticSample:
        """Read one image with all that belongs to it.

        Raises:
            IndexError: there is no such image.
            ImageError: a file is missing or damaged, or picture, map and JSON differ in size.
        """
        entry = self.images[index]
        return PanopticSample(
            entry.id,
            self.stem(index),
            self.image(index),
            self.segmented(index),
            self.referrals(index),
        )

    def stem(self, index: int) -> str:
        """Return the name of an image's files, without extension."""
        return PurePosixPath(self.images[index].file_name).stem

    def image(self, index: int) -> np.ndarray:
        """Read a picture: (H, W, 3) uint8 RGB, upright."""
        entry = self.images[index]
        uri = self._uri(f"{IMAGES}/{entry.file_name}")
        pixels = read_image(uri, self._options)
        self._check_size(entry, pixels.shape[:2], uri)
        return pixels

    def segmented(self, index: int) -> SegmentedImage:
        """Read the segments of an image: map and list, as the files have them."""
        entry = self.images[index]
        uri = self._uri(f"{PANOPTIC}/{entry.map_name}")
        ids = decode_panoptic(read_bytes(uri, storage_options=self._options), uri)
        self._check_size(entry, ids.shape, uri)
        return SegmentedImage(ids, entry.segments)

    def referrals(self, index: int) -> tuple[Referral, ...]:
        """Return what sentences of an image mean; nothing is read."""
        return self._referrals.get(self.images[index].id, ())

    def _uri(self, name: str) -> str:
        return self.folder.uri_of(self.folder.child(name))

    @property
    def _options(self) -> StorageOptions:
        return self.folder.filesystem.storage_options

    def _check_size(self, entry: PanopticImage, size: tuple[int, ...], where: str) -> None:
        if tuple(size) != (entry.height, entry.width):
            raise ImageError(
                f"{where} has {size[1]} x {size[0]} pixels but {PANOPTIC_JSON} says {entry.width} "
                f"x {entry.height}: build the split again"
            )


def open_panoptic(root: str, split: str, storage_options: StorageOptions = None) -> PanopticDataset:
    """Open a split of a training data set, made by `build_dataset` or in the same layout.

    Images without an annotation are left out. Without a grounding.json no image has sentences.

    Args:
        root: the folder of the data set, or a URL.
        split: name of the split: "train", "validation".
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: the split is missing, unfinished or empty, or a JSON is faulty.
        StoreError: the storage does not answer.
    """
    folder = open_folder(f"{str(root).rstrip('/')}/{split}", storage_options)
    names = [PANOPTIC_JSON, UPSTREAM_PANOPTIC_JSON]
    name = next((n for n in names if folder.kind(folder.child(n)) == "file"), None)
    if name is None:
        there = open_folder(root, storage_options)
        splits = _splits(there) if there.kind() == "folder" else []
        advice = f"there are {', '.join(splits)}" if splits else "build the data set first"
        raise InputError(
            f"{folder.path} is no finished split (it has no {PANOPTIC_JSON}): {advice}"
        )
    where = folder.uri_of(folder.child(name))
    content = parse_panoptic_json(_read(where, storage_options), where)
    images = tuple(image for image in content.images if image.map_name)
    if not images:
        raise InputError(f"{where} annotates no images: build the split again")
    referrals: Mapping[int, tuple[Referral, ...]] = {}
    grounding = folder.child(GROUNDING_JSON)
    if folder.kind(grounding) == "file":
        uri = folder.uri_of(grounding)
        referrals = parse_grounding_json(_read(uri, storage_options), uri)
    return PanopticDataset(folder, images, content.categories, referrals)


def _read(uri: str, storage_options: StorageOptions) -> bytes:
    try:
        return read_bytes(uri, storage_options=storage_options)
    except ImageError as error:
        raise InputError(str(error)) from error


def _splits(folder: Folder) -> list[str]:
    entries = folder.filesystem.ls(folder.path, detail=True)
    names = sorted(str(e["name"]).rsplit("/", 1)[-1] for e in entries if e["type"] == "directory")
    return [n for n in names if folder.kind(folder.child(f"{n}/{PANOPTIC_JSON}")) == "file"]
