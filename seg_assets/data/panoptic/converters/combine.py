"""A panoptic prediction out of a semantic and an instance prediction (Kirillov et al. 2019)."""

from collections.abc import Sequence

import numpy as np

from seg_assets.classes.table import IGNORE_ID
from seg_assets.data.panoptic.categories import VOID_ID, CategoryTable
from seg_assets.data.panoptic.colors import SegmentColors
from seg_assets.data.panoptic.converters.detection import Detection
from seg_assets.data.panoptic.segments import SegmentedImage, describe_segments
from seg_assets.errors import InputError

# panopticapi's defaults
MIN_SCORE = 0.5
MAX_OVERLAP = 0.5
MIN_STUFF_PIXELS = 64 * 64


def combine_predictions(
    label_map: np.ndarray,
    detections: Sequence[Detection],
    table: CategoryTable,
    *,
    image: str,
    seed: int = 0,
    min_score: float = MIN_SCORE,
    max_overlap: float = MAX_OVERLAP,
    min_stuff_pixels: int = MIN_STUFF_PIXELS,
) -> SegmentedImage:
    """Let things take their pixels by score, and stuff fill what is left.

    A detection of which more than `max_overlap` is taken already is dropped; of the others the free
    part is painted. Stuff of fewer free pixels than `min_stuff_pixels` is left out, and so are
    things of the label map.

    Args:
        label_map: (H, W) uint8 training ids, 255 = no label.
        detections: objects of things, in any order; of equal scores the first comes first.
        table: the categories.
        image: the image's id, for colours and messages.
        seed: gives other colours.
        min_score: detections below it are dropped.
        max_overlap: share of a detection that may be taken.
        min_stuff_pixels: smallest stuff.

    Raises:
        InputError: a mask or the map has another size, an id is outside the table, or a detection
            is of stuff.
        UnknownClassError: a category is not in the table.
    """
    ids = np.zeros(label_map.shape, np.int32)
    colors = SegmentColors(table, image, seed)
    category_ids: dict[int, int] = {}
    kept = [detection for detection in detections if detection.score >= min_score]
    for detection in sorted(kept, key=lambda found: -found.score):
        category = table.by_id(detection.category_id)
        if not category.is_thing:
            raise InputError(
                f"a detection of {image} is {category.name!r}, which is stuff; take stuff from the "
                "label map"
            )
        if detection.mask.shape != label_map.shape:
            raise InputError(
                f"a mask of {image} has shape {detection.mask.shape}, the label map "
                f"{label_map.shape}; give both at the image's size"
            )
        free = detection.mask & (ids == VOID_ID)
        area = int(detection.mask.sum())
        left = int(free.sum())
        if left == 0 or area - left > max_overlap * area:
            continue
        segment_id = colors.next_id(category)
        ids[free] = segment_id
        category_ids[segment_id] = category.id
    for label in np.unique(label_map).tolist():
        if label == IGNORE_ID:
            continue
        if label >= len(table):
            raise InputError(
                f"the label map of {image} holds the id {label}, but the table has the categories "
                f"0..{len(table) - 1}"
            )
        category = table.categories[label]
        free = (label_map == label) & (ids == VOID_ID)
        if category.is_thing or int(free.sum()) < min_stuff_pixels:
            continue
        segment_id = colors.next_id(category)
        ids[free] = segment_id
        category_ids[segment_id] = category.id
    return describe_segments(ids, category_ids)
