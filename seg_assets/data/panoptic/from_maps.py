"""From a label map, with or without an instance map, to the segments of an image."""

import numpy as np

from seg_assets.classes.table import IGNORE_ID
from seg_assets.data.panoptic.categories import VOID_ID, CategoryTable
from seg_assets.data.panoptic.colors import SegmentColors
from seg_assets.data.panoptic.params import PanopticParams
from seg_assets.data.panoptic.segments import SegmentedImage, describe_segments, row_runs
from seg_assets.errors import InputError

CROWD = 0
"""Instance number of thing pixels whose objects are not told apart."""

_DEFAULTS = PanopticParams()


def segments_from_maps(
    label_map: np.ndarray,
    table: CategoryTable,
    *,
    image: str,
    instance_map: np.ndarray | None = None,
    params: PanopticParams = _DEFAULTS,
) -> SegmentedImage:
    """Cut an image into segments: one per stuff category, one per instance of a thing.

    Args:
        label_map: (H, W) uint8 training ids of `table`, 255 where there is no label.
        table: the categories.
        image: the image's id: with `params.seed` it decides the colours; named in messages.
        instance_map: (H, W) integers from 0; pixels of one thing category with the same number are
            one instance, and 0 is a crowd. Numbers on stuff have no meaning. None: see
            `params.without_instances`.
        params: how things are cut without an instance map, and the seed.

    Raises:
        InputError: a map has another shape or type, or ids outside the table.
    """
    _check(label_map, instance_map, table, image)
    is_thing = np.zeros(256, bool)
    is_thing[: len(table)] = [item.is_thing for item in table.categories]
    if instance_map is not None:
        numbers = np.where(is_thing[label_map], instance_map, CROWD).astype(np.int64)
    elif params.without_instances == "whole":
        numbers = is_thing[label_map].astype(np.int64)
    else:
        numbers = _number_parts(label_map, is_thing, params.min_instance_pixels)

    # One number per pair (class, instance), looked up per run and not per pixel.
    keys = numbers << 8 | label_map
    runs = row_runs(keys)
    present, inverse = np.unique(runs.values, return_inverse=True)
    colors = SegmentColors(table, image, params.seed)
    ids = np.full(len(present), VOID_ID, np.int32)
    category_ids: dict[int, int] = {}
    crowds: set[int] = set()
    for place, key in enumerate(present.tolist()):
        number, label = key >> 8, key & 0xFF
        if label == IGNORE_ID:
            continue
        category = table.categories[label]
        ids[place] = segment_id = colors.next_id(category)
        category_ids[segment_id] = category.id
        if category.is_thing and number == CROWD:
            crowds.add(segment_id)
    painted = np.repeat(ids[inverse], runs.stops - runs.starts).reshape(label_map.shape)
    return describe_segments(painted, category_ids, crowds)


def _number_parts(label_map: np.ndarray, is_thing: np.ndarray, smallest: int) -> np.ndarray:
    """Number the connected parts of each thing from 1 in reading order, 0 for small ones.

    Pixels that touch at a corner are connected.
    """
    import cv2  # noqa: PLC0415  # takes long to load

    numbers = np.zeros(label_map.shape, np.int64)
    for label in np.flatnonzero(np.bincount(label_map.ravel(), minlength=256)).tolist():
        if not is_thing[label]:
            continue
        inside = label_map == label
        count, parts = cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)
        areas = np.bincount(parts.ravel(), minlength=count)
        # cv2's own order depends on its algorithm
        _, first = np.unique(parts.ravel(), return_index=True)
        order = np.zeros(count, np.int64)
        kept = [p for p in np.argsort(first).tolist() if p != 0 and areas[p] >= smallest]
        order[kept] = np.arange(1, len(kept) + 1)
        numbers[inside] = order[parts[inside]]
    return numbers


def _check(
    label_map: np.ndarray, instance_map: np.ndarray | None, table: CategoryTable, image: str
) -> None:
    if label_map.ndim != 2 or label_map.dtype != np.uint8 or label_map.size == 0:
        raise InputError(
            f"the label map of {image} has shape {label_map.shape} and type {label_map.dtype}; "
            "it must be (height, width) bytes with at least one pixel"
        )
    wrong = (label_map >= len(table)) & (label_map != IGNORE_ID)
    if wrong.any():
        raise InputError(
            f"the label map of {image} holds the id {label_map[wrong].min()}, but the table has "
            f"the categories 0..{len(table) - 1} and {IGNORE_ID} is no label"
        )
    if instance_map is None:
        return
    if instance_map.shape != label_map.shape or instance_map.dtype.kind not in "ui":
        raise InputError(
            f"the instance map of {image} has shape {instance_map.shape} and type "
            f"{instance_map.dtype}, its label map {label_map.shape}; give integers at the same size"
        )
    if instance_map.min() < 0:
        raise InputError(
            f"the instance map of {image} holds {instance_map.min()}; instances count from 1, and "
            "0 is a crowd"
        )
