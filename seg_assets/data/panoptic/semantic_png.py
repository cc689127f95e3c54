"""Semantic PNGs: a training id per pixel, 0..N-1, 255 where there is no label.

They hold training ids, not category ids: evaluators count from 0 and skip 255.
"""

import numpy as np

from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.segments import SegmentedImage
from seg_assets.errors import ImageError, StoreError
from seg_assets.storage.png import decode_label_map, encode_label_map


def encode_semantic(label_map: np.ndarray, table: CategoryTable) -> bytes:
    """Encode training ids as an indexed PNG in the categories' colours.

    Args:
        label_map: (H, W) uint8 training ids, 255 = no label.
        table: the categories.

    Returns:
        The PNG; the same map gives the same bytes.
    """
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(table)] = [item.color for item in table.categories]
    return encode_label_map(label_map, palette)


def decode_semantic(data: bytes, where: str) -> np.ndarray:
    """Decode a semantic PNG: (H, W) uint8 training ids, 255 = no label.

    Raises:
        ImageError: not an indexed or grey 8-bit PNG, or damaged.
    """
    try:
        return decode_label_map(data)
    except StoreError as error:
        raise ImageError(
            f"the semantic map {where} is no readable 8-bit PNG of ids: build the split again"
        ) from error


def find_semantic_faults(
    label_map: np.ndarray, segmented: SegmentedImage, table: CategoryTable
) -> list[str]:
    """List what is wrong between a semantic map and the segments of its image.

    Returns:
        One clause per fault; empty when every pixel has its segment's training id, and 255 where
        there is no segment.
    """
    if label_map.shape != segmented.ids.shape:
        return [f"the semantic map is {label_map.shape}, the panoptic one {segmented.ids.shape}"]
    differ = int((label_map != segmented.semantic(table)).sum())
    return [f"{differ} pixels are not of their segment's category"] if differ else []
