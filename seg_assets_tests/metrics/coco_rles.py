"""Run lengths for tests, written by pycocotools."""

from typing import Any

import numpy as np
from pycocotools import mask as pycocotools_mask

_coco: Any = pycocotools_mask


def encode(mask: np.ndarray) -> dict[str, Any]:
    return _coco.encode(np.asfortranarray(mask.astype(np.uint8)))


def rows(*lines: str) -> dict[str, Any]:
    """ "110" and "011": a mask of two rows."""
    return encode(np.array([[character == "1" for character in line] for line in lines]))
