"""Segments of an image as the truth of that image."""

from collections.abc import Collection, Mapping

import numpy as np

from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.data.ground_truth.image_truth import ImageTruth, TrueObject
from seg_assets.data.ground_truth.segment_masks import encode_segments
from seg_assets.data.panoptic.segments import SegmentedImage, row_runs


def truth_of_segments(
    label_map: np.ndarray,
    segmented: SegmentedImage,
    class_of: Mapping[int, int],
    things: Collection[int],
) -> ImageTruth:
    """Put a label map and the segments of the same image together.

    Args:
        label_map: (H, W) uint8 class ids, 255 = no label.
        segmented: the segments.
        class_of: class id by category id.
        things: ids of the classes whose segments are objects.
    """
    classes = {item.id: class_of[item.category_id] for item in segmented.segments}
    crowds = frozenset(item.id for item in segmented.segments if item.is_crowd)
    chosen = [segment for segment, class_id in classes.items() if class_id in things]
    return ImageTruth(
        label_map,
        segmented.ids,
        classes,
        crowds,
        _objects(segmented.ids, classes, chosen, crowds),
    )


def truth_of_numbers(label_map: np.ndarray, numbers: np.ndarray, table: ClassTable) -> ImageTruth:
    """Cut a label map into segments by a map of objects' numbers.

    Pixels of one class and one number above 0 are an object; a number on a class that is known to
    be stuff means nothing. Pixels without a number are one segment per class: a crowd where the
    class is known to be countable.

    Args:
        label_map: (H, W) uint8 class ids, 255 = no label.
        numbers: (H, W) integers from 0, 0 = none.
        table: the classes.
    """
    is_stuff = np.ones(256, bool)
    is_stuff[: len(table)] = [item.is_thing is False for item in table.classes]
    keys = label_map.astype(np.int64) << 32 | np.where(is_stuff[label_map], 0, numbers)
    runs = row_runs(keys)
    present, inverse = np.unique(runs.values, return_inverse=True)
    ids = np.zeros(len(present), np.int32)
    classes: dict[int, int] = {}
    crowds: set[int] = set()
    numbered: list[int] = []
    for place, key in enumerate(present.tolist()):
        class_id, number = key >> 32, key & 0xFFFFFFFF
        if class_id == IGNORE_ID:
            continue
        ids[place] = segment = len(classes) + 1
        classes[segment] = class_id
        if number:
            numbered.append(segment)
        elif class_id in table.things:
            crowds.add(segment)
    painted = np.repeat(ids[inverse], runs.stops - runs.starts).reshape(label_map.shape)
    objects = _objects(painted, classes, [*numbered, *crowds], crowds)
    return ImageTruth(label_map, painted, classes, frozenset(crowds), objects)


def _objects(
    segment_ids: np.ndarray,
    classes: Mapping[int, int],
    chosen: Collection[int],
    crowds: Collection[int],
) -> tuple[TrueObject, ...]:
    """The chosen segments as objects, in ascending order of their ids."""
    masks = encode_segments(segment_ids, sorted(chosen))
    return tuple(
        TrueObject(classes[segment], counts, segment in crowds) for segment, counts in masks.items()
    )
