"""Remove the small connected parts of labels, which are mostly slips of the annotators."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Removed:
    """What was removed: connected parts, and their voxels or pixels."""

    parts: int = 0
    pixels: int = 0

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(self.parts + other.parts, self.pixels + other.pixels)


def remove_small_parts(labels: np.ndarray, min_size: int) -> tuple[np.ndarray, Removed]:
    """Set the connected parts of each label that have fewer than `min_size` elements to 0.

    Elements that touch with a face, an edge or a corner are connected: 8 neighbours in a slice, 26
    in a volume. Parts of different labels are apart.

    Args:
        labels: (H, W) or (D, H, W) integers, 0 = background.
        min_size: 0 or 1 keeps everything.

    Returns:
        A copy without the small parts, and what was removed.
    """
    cleaned = labels.copy()
    touching = np.ones((3,) * labels.ndim, np.bool_)
    removed = Removed()
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or min_size <= 1:
            continue
        found = ndimage.label(labels[box] == label, structure=touching)
        parts, count = cast(tuple[np.ndarray, int], found)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        small = sizes < min_size
        small[0] = False  # not the label
        if small.any():
            cleaned[box][small[parts]] = 0
            removed += Removed(int(small.sum()), int(sizes[small].sum()))
    return cleaned, removed
