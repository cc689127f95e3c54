"""Cityscapes: maps of instance ids, and its 19 classes as categories.

Source: the dataset's cityscapesscripts, helpers/labels.py and preparation/json2instanceImg.py.
"""

import numpy as np

from seg_assets.classes.table import IGNORE_ID, load_class_table
from seg_assets.data.panoptic.categories import Category, CategoryTable
from seg_assets.data.panoptic.from_maps import CROWD, segments_from_maps
from seg_assets.data.panoptic.params import PanopticParams
from seg_assets.data.panoptic.segments import SegmentedImage
from seg_assets.errors import InputError

OFFSET = 1000
"""A pixel of an object holds OFFSET x label id + number; others hold the label id alone."""

# Label ids of the 19 classes, in the order of their training ids.
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def cityscapes_categories() -> CategoryTable:
    """Return the 19 classes with Cityscapes' label ids (7..33) as category ids."""
    classes = CategoryTable.from_class_table(load_class_table("cityscapes19")).categories
    return CategoryTable(
        tuple(
            Category(label_id, item.name, item.color, item.is_thing)
            for label_id, item in zip(LABEL_IDS, classes, strict=True)
        )
    )


def cityscapes_to_panoptic(
    instance_ids: np.ndarray, *, image: str, seed: int = 0
) -> SegmentedImage:
    """Make segments of a map of instance ids (gtFine_instanceIds.png).

    Pixels of a thing below 1000 are a group that was not taken apart: one crowd per category.
    Labels outside the 19 classes stay unlabelled.

    Args:
        instance_ids: (H, W) integers, as the PNG holds them.
        image: the image's id, for colours and messages.
        seed: gives other colours.

    Raises:
        InputError: another shape or type, or numbers that cannot be instance ids.
    """
    if instance_ids.ndim != 2 or instance_ids.dtype.kind not in "ui" or instance_ids.size == 0:
        raise InputError(
            f"the instance ids of {image} have shape {instance_ids.shape} and type "
            f"{instance_ids.dtype}; give the 16-bit plane of gtFine_instanceIds.png"
        )
    ids = instance_ids.astype(np.int64)
    apart = ids >= OFFSET
    labels = np.where(apart, ids // OFFSET, ids)
    if ids.min() < 0 or labels.max() > 255:
        raise InputError(
            f"the instance ids of {image} go from {ids.min()} to {ids.max()}; give the 16-bit "
            "plane of gtFine_instanceIds.png"
        )
    train_ids = np.full(256, IGNORE_ID, np.uint8)
    train_ids[list(LABEL_IDS)] = np.arange(len(LABEL_IDS), dtype=np.uint8)
    numbers = np.where(apart, ids % OFFSET + 1, CROWD)
    return segments_from_maps(
        train_ids[labels],
        cityscapes_categories(),
        image=image,
        instance_map=numbers,
        params=PanopticParams(seed=seed),
    )
