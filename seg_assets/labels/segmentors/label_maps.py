"""Label maps that somebody else made, as a segmentor: one PNG of class ids for each image."""

import hashlib
import json
from typing import Any

import numpy as np

from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.data.files import Folder, StorageOptions, open_folder, unanswered
from seg_assets.data.label_maps import read_label_map
from seg_assets.errors import ImageError, InputError
from seg_assets.labels.segmentors.protocol import Segmentation

SUFFIX = ".png"
_AS_STORED = "png:"  # the label format whose ids are the table's own

# What file systems call the sign of a file's content, best first.
_SIGNS = ("ETag", "md5Hash", "mtime", "LastModified")


class StoredLabelMaps:
    """Reads `<folder>/<image id>.png`: grey or indexed, ids of one class table, 255 = no label."""

    def __init__(
        self,
        source: str,
        classes: str | ClassTable,
        storage_options: StorageOptions = None,
    ) -> None:
        """Name the maps; nothing is read yet.

        Args:
            source: a local folder or an fsspec URL.
            classes: the table of the ids: a name, the path of a .toml file, or itself.
            storage_options: keyword arguments of the fsspec file system.

        Raises:
            InputError: no such table, or an unknown protocol.
        """
        self.classes = load_class_table(classes)
        self._folder = open_folder(source, storage_options)
        self._options = storage_options

    def segment(self, image_id: str, image: np.ndarray) -> Segmentation:
        """Look up the map of an image.

        Raises:
            ImageError: the map is missing, damaged, or has another size than the image.
            UnknownClassError: the map holds ids that are not in the class table.
        """
        uri = self._folder.uri_of(self._path(image_id))
        label_map = read_label_map(uri, f"{_AS_STORED}{self.classes.name}", self._options)
        if label_map.shape != image.shape[:2]:
            raise ImageError(
                f"the label map {uri} is {_size(label_map)} pixels and its image {_size(image)}: "
                "give maps of the images' own size"
            )
        self.classes.check(label_map, f"the label map {uri}")
        return Segmentation(label_map)

    def sign_of(self, image_id: str) -> str:
        """Size and sign of the content of an image's map, see `label_maps_digest`; "" without one.

        Raises:
            StoreError: the storage does not answer.
        """
        path = self._path(image_id)
        try:
            info = self._folder.filesystem.info(path)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except Exception as error:  # every file system has its own errors for a failed connection
            raise unanswered(self._folder.uri_of(path), error) from error
        return f"{info['size']} {_sign(info)}"

    def _path(self, image_id: str) -> str:
        return self._folder.child(f"{image_id}{SUFFIX}")


def check_label_map_folder(source: str, storage_options: StorageOptions = None) -> None:
    """Make sure that a folder of label maps is there, before a shard of images fails one by one.

    Raises:
        InputError: it is not there, or is a file.
        StoreError: the storage does not answer.
    """
    folder = open_folder(source, storage_options)
    # object stores have no empty folders, so what is not there and what is empty look alike
    if folder.kind() != "folder":
        raise InputError(
            f"there is no folder of label maps at {source}: name the folder that holds "
            f"<image id>{SUFFIX}"
        )


def label_maps_digest(source: str, storage_options: StorageOptions = None) -> str:
    """SHA-256 of the listing of a folder of label maps: names, sizes and signs of their content.

    The sign is the file's checksum where the storage keeps one, else its time of change.

    Raises:
        InputError: the folder is not there.
        StoreError: the storage does not answer.
    """
    check_label_map_folder(source, storage_options)
    folder = open_folder(source, storage_options)
    try:
        found = dict(folder.filesystem.find(folder.path, detail=True))
    except Exception as error:  # every file system has its own errors for a failed connection
        raise unanswered(source, error) from error
    listing = sorted(
        (_relative(path, folder), int(info["size"]), _sign(info))
        for path, info in found.items()
        if path.endswith(SUFFIX)
    )
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _relative(path: str, folder: Folder) -> str:
    return path.removeprefix(folder.path).lstrip("/")


def _sign(info: dict[str, Any]) -> str:
    return next((str(info[name]) for name in _SIGNS if info.get(name)), "")


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
