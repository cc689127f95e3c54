"""What SSA asks of a segmentor; any object with these two members is one."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from seg_assets.classes.table import ClassTable


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a segmentor says about an image of H x W pixels with its C classes.

    Attributes:
        label_map: (H, W) uint8 ids of the segmentor's table, 255 = no label.
        logits: (C, h, w) float32, higher = more likely, at the network's own resolution; they cover
            the image exactly. None where the segmentor knows labels only.
    """

    label_map: np.ndarray
    logits: np.ndarray | None = None


class Segmentor(Protocol):
    """Labels every pixel of an image; the same image gives the same labels."""

    @property
    def classes(self) -> ClassTable:
        """The table of its label maps."""
        ...

    def segment(self, image_id: str, image: np.ndarray) -> Segmentation:
        """Label an image.

        Args:
            image_id: for segmentors that look labels up, and for messages.
            image: (H, W, 3) uint8 RGB.

        Raises:
            ImageError: there are no labels for this image, or they do not fit it.
            InputError: the array is no RGB image.
        """
        ...
