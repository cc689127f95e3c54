"""Overlapping masks made disjoint: every pixel goes to the smallest mask that contains it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seg_assets.errors import InputError
from seg_assets.masks.records import MaskRecord


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
    pixels = np.zeros(width * height, np.int32)  # column by column, as the run lengths go
    for rank in reversed(range(len(order))):
        rle = records[order[rank]].rle
        if (rle.height, rle.width) != (height, width):
            raise InputError(
                f"mask {order[rank]} is {rle.height} x {rle.width} pixels, its image "
                f"{height} x {width}: are they of the same image?"
            )
        for start, end in rle.spans().tolist():
            pixels[start:end] = rank + 1
    ids = np.ascontiguousarray(pixels.reshape(width, height).T)
    return RegionMap(ids=ids, mask_ids=order.astype(np.int64))
