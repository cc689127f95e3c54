"""Overlapping masks made disjoint: every pixel goes to the smallest mask that contains it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seg_assets.data.run_lengths import paint_masks
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import runs_of


@dataclass(frozen=True)
class RegionMap:
    """Disjoint regions of one image.

    Attributes:
        ids: Region per pixel, (H, W) int32, 0 = no region. Region r is what smaller masks leave of
            its mask; it need not be connected, and it has no pixel if they leave nothing.
        mask_ids: Index of each region's mask in the records that were painted, (number of
            records,) int64; region r comes from record mask_ids[r - 1]. Areas ascend along it.
    """

    ids: np.ndarray
    mask_ids: np.ndarray

    def visible(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the regions that have pixels, ascending, and their pixel counts, both int64."""
        pixels = np.bincount(self.ids.ravel(), minlength=len(self.mask_ids) + 1)
        regions = np.flatnonzero(pixels[1:]) + 1
        return regions, pixels[regions]


def paint_regions(records: Sequence[MaskRecord], height: int, width: int) -> RegionMap:
    """Paint masks over one another from the largest to the smallest.

    Regions are numbered from 1 by ascending area of their masks; of masks with equal areas the
    earlier one wins.

    Args:
        records: Masks of one image, in any order.
        height: Rows of the image.
        width: Columns of the image.

    Raises:
        InputError: A mask has another size than the image, or its run lengths are damaged.
    """
    order = np.argsort(np.array([record.area for record in records], np.int64), kind="stable")
    masks = runs_of([record.rle for record in records], height, width)
    largest_first = masks.pick(order[::-1])
    numbers = np.arange(len(order), 0, -1)
    nothing = np.zeros((height, width), np.uint8)
    ids = paint_masks(largest_first, (numbers & 255).astype(np.uint8), nothing).astype(np.int32)
    for byte in range(1, -(-len(order).bit_length() // 8)):
        values = (numbers >> 8 * byte & 255).astype(np.uint8)
        ids |= paint_masks(largest_first, values, nothing).astype(np.int32) << 8 * byte
    return RegionMap(ids=ids, mask_ids=order.astype(np.int64))
