"""Label files of data sets as maps of class ids, 255 = no label."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from seg_assets.classes.table import IGNORE_ID
from seg_assets.data.files import StorageOptions, read_bytes
from seg_assets.data.images import open_image
from seg_assets.data.panoptic.converters.cityscapes import LABEL_IDS
from seg_assets.errors import ImageError, InputError, UnknownClassError

TABLES: Mapping[str, str | None] = MappingProxyType(
    {
        "png": None,
        "camvid": "camvid11",
        "ade20k": "ade150",
        "cityscapes": "cityscapes19",
        "cityscapes_ids": "cityscapes19",
        "foggy_driving": "cityscapes19",
        "voc": "voc21",
        "coco_panoptic": "coco133",
        "coco_instances": "coco133",
    }
)
"""Every label format, and its class table unless one is named behind it."""

ANY_TABLE = ("png", "voc", "coco_panoptic", "coco_instances")
"""Formats in which people write classes of their own: <format>:<class table>."""

_WHOLE_FILES = ("coco_panoptic", "coco_instances")

# CamVid's 11-class release numbers "unlabelled" after its classes.
_CAMVID_UNLABELLED = 11
# Cityscapes' labels outside the benchmark are known ids too. Source: cityscapesscripts, labels.py.
_CITYSCAPES_LABELS = 34


def label_table(label_format: str) -> str:
    """Name of the class table whose ids a label format holds.

    Args:
        label_format: a key of `TABLES`; those of `ANY_TABLE` may name a class table behind a colon,
            by its name or .toml path, and png must.

    Raises:
        InputError: the format is unknown; an unknown table is for `load_class_table` to refuse.
    """
    name, colon, table = label_format.partition(":")
    if colon and table and name in ANY_TABLE:
        return table
    own = None if colon else TABLES.get(name)
    if own is None:
        known = ", ".join(format for format, table in TABLES.items() if table)
        raise InputError(
            f"the label format {label_format!r} is unknown: use one of {known} or png:<class "
            f"table>, such as png:cityscapes19"
        )
    return own


def read_label_map(
    uri: str, label_format: str, storage_options: StorageOptions = None
) -> np.ndarray:
    """Read the classes in the label file of one image.

    Ids are checked against the format's own numbers here, against the class table where the map is
    used.

    Args:
        uri: the label file.
        label_format: see `label_table`.
        storage_options: keyword arguments of the fsspec file system.

    Returns:
        (H, W) uint8 class ids of `label_table(label_format)`; 255 = no label.

    Raises:
        ImageError: the file is missing, damaged, or holds colours or ids above 255.
        UnknownClassError: it holds numbers that the data set does not use.
        InputError: the format is unknown, or keeps many images in one file.
    """
    label_table(label_format)
    name = label_format.partition(":")[0]
    if name in _WHOLE_FILES:
        raise InputError(
            f"the label format {name} describes its images in one JSON file: open it with "
            "open_ground_truth, or export its classes as PNGs first"
        )
    ids = _decode_ids(read_bytes(uri, storage_options=storage_options), uri)
    if name == "camvid":
        ids = np.where(ids == _CAMVID_UNLABELLED, np.uint8(IGNORE_ID), ids)
    elif name == "ade20k":
        _check_numbers(ids > 150, ids, uri, "ADE20K's labels go from 1 to 150, and 0 is no label")
        ids = ids - np.uint8(1)  # 0, no label, becomes 255 by the wrap of uint8
    elif name == "cityscapes_ids":
        check_cityscapes_labels(ids, uri)
        ids = _train_ids()[ids]
    return ids


def check_cityscapes_labels(label_ids: np.ndarray, where: str) -> None:
    """Refuse numbers that are no label ids of Cityscapes, which go from 0 to 33, nor 255.

    Raises:
        UnknownClassError: it holds others; the message names them.
    """
    unknown = (label_ids >= _CITYSCAPES_LABELS) & (label_ids != IGNORE_ID)
    _check_numbers(unknown, label_ids, where, "Cityscapes' label ids go from 0 to 33")


def _train_ids() -> np.ndarray:
    """(256,) uint8, Cityscapes' train id by label id; 255 for labels outside the benchmark."""
    train_ids = np.full(256, IGNORE_ID, np.uint8)
    train_ids[list(LABEL_IDS)] = np.arange(len(LABEL_IDS), dtype=np.uint8)
    return train_ids


def _check_numbers(unknown: np.ndarray, ids: np.ndarray, where: str, rule: str) -> None:
    if unknown.any():
        found = ", ".join(map(str, np.unique(ids[unknown]).tolist()[:10]))
        raise UnknownClassError(
            f"{where} holds {found}: {rule}; name the format that the file is written in"
        )


def _decode_ids(data: bytes, where: str) -> np.ndarray:
    """Take the stored numbers of a PNG as they are: a palette's indices, not its colours."""
    image = open_image(data, where, formats=("PNG",))
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(
            f"the label file {where} is truncated or damaged ({error}): fetch it again"
        ) from error
    if image.mode not in ("1", "L", "P", "I", "I;16"):
        raise ImageError(
            f"the label file {where} holds colours ({image.mode}), not class ids: convert it to a "
            "grey or indexed PNG of ids"
        )
    ids = np.asarray(image)
    if ids.max() > IGNORE_ID:
        raise ImageError(
            f"the label file {where} holds the id {ids.max()}: ids go up to 254, and 255 means no "
            "label"
        )
    return ids.astype(np.uint8)
