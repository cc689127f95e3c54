"""How many pixels of each label lie in each mask."""

from collections.abc import Sequence

import numpy as np

from seg_assets.errors import InputError
from seg_assets.masks.rle import Rle


def count_mask_votes(masks: Sequence[Rle], label_map: np.ndarray) -> np.ndarray:
    """Count the labels inside each mask: (N, 256) int64, a column per label, 255 too.

    Args:
        masks: of one image; they may overlap.
        label_map: (H, W) uint8.

    Raises:
        InputError: a mask has another size than the map, or its run lengths are damaged.
    """
    counts = np.zeros((len(masks), 256), np.int64)
    for i, mask in enumerate(masks):
        if (mask.height, mask.width) != label_map.shape:
            raise InputError(
                f"mask {i} is {mask.height} x {mask.width} pixels, its label map {label_map.shape}:"
                " are they of the same image?"
            )
        counts[i] = np.bincount(label_map[mask.decode()], minlength=256)
    return counts
