"""Between panoptic maps and maps of two numbers per pixel: category and instance."""

from collections import defaultdict

import numpy as np

from seg_assets.data.panoptic.categories import VOID_ID, CategoryTable
from seg_assets.data.panoptic.colors import SegmentColors
from seg_assets.data.panoptic.segments import (
    SegmentedImage,
    describe_segments,
    row_runs,
)
from seg_assets.errors import InputError, UnknownClassError

OFFSET = 1000
"""Number of a pixel in one channel: OFFSET x category + instance."""


def two_channel_to_panoptic(
    channels: np.ndarray, table: CategoryTable, *, image: str, seed: int = 0
) -> SegmentedImage:
    """Make segments of pairs (category id, instance).

    Args:
        channels: (H, W, 2) or (H, W, 3) integers: category id (0 = no label), instance; a third
            channel, as RGB PNGs have, is not read. Or (H, W): OFFSET x category id + instance.
        table: the categories.
        image: the image's id, for colours and messages.
        seed: gives other colours.

    Raises:
        InputError: another shape or type.
        UnknownClassError: a category id is not in the table.
    """
    if channels.dtype.kind not in "ui" or not (
        channels.ndim == 2 or (channels.ndim == 3 and channels.shape[2] in (2, 3))
    ):
        raise InputError(
            f"the two-channel map of {image} has shape {channels.shape} and type "
            f"{channels.dtype}; give (height, width, 2) integers: category id and instance"
        )
    if channels.ndim == 2:
        categories, instances = np.divmod(channels.astype(np.int64), OFFSET)
    else:
        categories = channels[..., 0].astype(np.int64)
        instances = channels[..., 1].astype(np.int64)
    runs = row_runs(categories << 32 | instances)
    present, inverse = np.unique(runs.values, return_inverse=True)
    colors = SegmentColors(table, image, seed)
    ids = np.full(len(present), VOID_ID, np.int32)
    category_ids: dict[int, int] = {}
    for place, key in enumerate(present.tolist()):
        category_id = key >> 32
        if category_id == 0:
            continue
        if category_id not in table:
            raise UnknownClassError(
                f"the two-channel map of {image} holds category {category_id}, which is not in "
                "the category table; give the table it was made with"
            )
        ids[place] = colors.next_id(table.by_id(category_id))
        category_ids[int(ids[place])] = category_id
    painted = np.repeat(ids[inverse], runs.stops - runs.starts).reshape(categories.shape)
    return describe_segments(painted, category_ids)


def panoptic_to_two_channel(segmented: SegmentedImage, table: CategoryTable) -> np.ndarray:
    """Write (H, W, 2) int32: category id and instance, both 0 where there is no segment.

    Stuff has instance 0; things count from 1 in the order of their segment ids. Crowds count too:
    the format cannot say what a crowd is.
    """
    counts: dict[int, int] = defaultdict(int)
    categories: dict[int, int] = {}
    instances: dict[int, int] = {}
    for segment in segmented.segments:
        categories[segment.id] = segment.category_id
        if table.by_id(segment.category_id).is_thing:
            counts[segment.category_id] += 1
            instances[segment.id] = counts[segment.category_id]
    return np.stack([segmented.lookup(categories, 0), segmented.lookup(instances, 0)], axis=-1)
