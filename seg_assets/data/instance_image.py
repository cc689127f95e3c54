"""Images with one mask per object: what models that answer to prompts are trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from seg_assets.errors import ImageError

NO_CLASS = -1


@dataclass(frozen=True)
class InstanceImage:
    """An image and the masks of N objects in it; N may be 0.

    Attributes:
        image_id: unique inside its data set.
        image: (H, W, 3) uint8 RGB, upright.
        masks: (N, H, W) bool; each has at least one pixel, and they may overlap.
        boxes: (N, 4) float32 pixels as x0, y0, x1, y1: left, upper, right and lower edge, so that a
            mask of one pixel at the origin has the box 0, 0, 1, 1. Recorded boxes are taken as they
            are and need not be tight.
        class_ids: (N,) int64 indices into the data set's `class_names`, -1 where there is no class.
        crowd: (N,) bool, True where a mask covers a group of objects.
    """

    image_id: str
    image: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    class_ids: np.ndarray
    crowd: np.ndarray

    def __post_init__(self) -> None:
        height, width = self.image.shape[:2]
        if self.masks.shape[1:] != (height, width):
            raise ImageError(
                f"image {self.image_id} is {height} x {width} pixels, its masks are "
                f"{' x '.join(map(str, self.masks.shape[1:]))}: give the masks of this image"
            )


class InstanceDataset(Protocol):
    """Images with instance masks, read one at a time when asked for.

    Reading the same index again gives the same image and objects; a data set holds no open file, so
    that workers in other processes may have a copy of it.
    """

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their ids; empty without classes."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: int) -> InstanceImage:
        """Read image `index` with its objects.

        Raises:
            ImageError: the image or its masks cannot be read.
            IndexError: `index` is not below the number of images.
        """
        ...


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Pixel edges x0, y0, x1, y1 around a mask, (H, W) bool; all 0 where it has no pixel."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def stack_objects(
    image_id: str,
    image: np.ndarray,
    masks: Sequence[np.ndarray],
    *,
    boxes: Sequence[tuple[float, float, float, float] | None] | None = None,
    class_ids: Sequence[int] | None = None,
    crowd: Sequence[bool] | None = None,
) -> InstanceImage:
    """Put the objects of an image together; those without a pixel are left out.

    Args:
        image_id: unique inside its data set.
        image: (H, W, 3) uint8 RGB.
        masks: (H, W) bool, one per object.
        boxes: x0, y0, x1, y1 per object; None, for one or for all, gives the mask's tight box.
        class_ids: one per object; None for no classes.
        crowd: one per object; None for no groups.

    Raises:
        ImageError: the masks are not of the image's size.
    """
    kept = [number for number, mask in enumerate(masks) if mask.any()]
    height, width = image.shape[:2]
    stacked = np.stack([masks[k] for k in kept]) if kept else np.zeros((0, height, width), np.bool_)
    given = [None if boxes is None else boxes[k] for k in kept]
    return InstanceImage(
        image_id=image_id,
        image=image,
        masks=stacked,
        boxes=np.array(
            [
                mask_box(mask) if box is None else box
                for mask, box in zip(stacked, given, strict=True)
            ],
            np.float32,
        ).reshape(-1, 4),
        class_ids=np.array(
            [NO_CLASS if class_ids is None else class_ids[k] for k in kept], np.int64
        ),
        crowd=np.array([crowd is not None and crowd[k] for k in kept], np.bool_),
    )
