"""Masks of true objects, decoded by pycocotools."""

import warnings
from typing import Any

import numpy as np
from pycocotools import mask as pycocotools_mask

from seg_assets.data.ground_truth.image_truth import TrueObject

_coco: Any = pycocotools_mask  # its type hints leave out half of what its functions accept


def area(item: TrueObject, size: tuple[int, ...]) -> int:
    """Pixels of an object's mask."""
    return int(_coco.area({"size": list(size), "counts": item.counts}))


def mask(item: TrueObject, size: tuple[int, ...]) -> np.ndarray:
    """An object's mask, (H, W) uint8."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools with NumPy 2
        return _coco.decode({"size": list(size), "counts": item.counts})
