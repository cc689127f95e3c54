"""Masks as COCO's files write them: polygons, run lengths, compressed run lengths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as pycocotools_mask

from seg_assets.data.run_lengths import paint_runs, read_runs
from seg_assets.errors import ImageError, InputError

_coco: Any = pycocotools_mask  # its type hints leave out half of what its functions accept

_POLYGON_NUMBERS = 6  # three corners
# Corners farther out than this many times the image's longer side are damage. pycocotools walks
# along every edge pixel by pixel, also outside the image, and crashes where memory does not do.
_FARTHEST = 10


@dataclass(frozen=True, slots=True)
class CocoMask:
    """A mask as it lies in a file, small until it is decoded.

    Attributes:
        height: rows of the mask.
        width: columns of the mask.
        polygons: corners x, y, x, y, ... of each polygon, (2K,) float64 with K >= 3; their union is
            the mask. Empty where there are run lengths.
        counts: compressed run lengths down the columns; empty where there are polygons.
    """

    height: int
    width: int
    polygons: tuple[np.ndarray, ...] = ()
    counts: bytes = b""

    def decode(self, what: str) -> np.ndarray:
        """The mask, (H, W) bool.

        Args:
            what: names the annotation in messages.

        Raises:
            ImageError: run lengths are damaged or do not add up to H x W pixels.
        """
        try:
            runs = read_runs(self.compressed(), self.height, self.width)
        except InputError as error:
            raise ImageError(f"{what} cannot be read: {error}") from error
        return paint_runs(runs, self.height, self.width)

    def compressed(self) -> bytes:
        """The mask as compressed run lengths; those of a file are not checked."""
        if not self.polygons:
            return self.counts
        parts = _coco.frPyObjects(list(self.polygons), self.height, self.width)
        return _coco.merge(parts)["counts"]


def parse_mask(segmentation: object, height: int, width: int, what: str) -> CocoMask:
    """Take over the `segmentation` of a COCO annotation.

    Polygons of fewer than 6 numbers, which enclose nothing, are left out.

    Args:
        segmentation: a list of polygons, or an object of size [H, W] and counts: text, or a list.
        height: rows of the image.
        width: columns of the image.
        what: names the annotation in messages.

    Raises:
        ImageError: it is neither, is of another size, has no polygon of 6 numbers, or a corner far
            outside the image.
    """
    if isinstance(segmentation, Mapping):
        return _parse_runs(segmentation, height, width, what)
    if not isinstance(segmentation, list):
        raise ImageError(
            f"{what} has neither polygons nor run lengths: write its mask as COCO does"
        )
    polygons = tuple(
        _numbers(polygon, what)
        for polygon in segmentation
        if not isinstance(polygon, Sequence) or len(polygon) >= _POLYGON_NUMBERS
    )
    if not polygons:
        raise ImageError(
            f"{what} has no polygon of {_POLYGON_NUMBERS} numbers or more: "
            "give it three corners or remove it"
        )
    if any(len(polygon) % 2 for polygon in polygons):
        raise ImageError(f"{what} has a polygon of an odd number of numbers: write x, y pairs")
    farthest = max((np.abs(polygon).max() for polygon in polygons), default=0.0)
    if farthest > _FARTHEST * max(height, width):
        raise ImageError(
            f"{what} has a polygon with a corner at {farthest:g}, far outside its image of "
            f"{height} x {width} pixels: mend it or remove it"
        )
    return CocoMask(height, width, polygons)


def mask_json(mask: np.ndarray) -> dict[str, Any]:
    """Write a mask, (H, W) bool, as COCO's compressed run lengths: {size: [H, W], counts: text}."""
    runs = _coco.encode(np.asfortranarray(mask).view(np.uint8))
    return {"size": list(mask.shape), "counts": runs["counts"].decode("ascii")}


def _parse_runs(segmentation: Mapping[str, object], height: int, width: int, what: str) -> CocoMask:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise ImageError(
            f"{what} has a mask of size {size}, its image is [{height}, {width}]: "
            "give the mask of this image"
        )
    if isinstance(counts, str) and counts.isascii():
        return CocoMask(height, width, counts=counts.encode("ascii"))
    runs = _numbers(counts, what)
    if runs.sum() != height * width or runs.min() < 0 or (runs % 1).any():
        raise ImageError(
            f"the run lengths of {what} do not describe {height} x {width} pixels: "
            "they are damaged or belong to an image of another size"
        )
    coded = {"size": [height, width], "counts": runs.astype(np.int64).tolist()}
    return CocoMask(height, width, counts=_coco.frPyObjects(coded, height, width)["counts"])


def _numbers(values: object, what: str) -> np.ndarray:
    """Finite numbers of a list, (N,) float64, N >= 1."""
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if not isinstance(values, list) or numbers.ndim != 1 or not len(numbers):
        raise ImageError(f"{what} has a mask that is not made of numbers: write it as COCO does")
    if not np.isfinite(numbers).all():
        raise ImageError(f"{what} has a mask with numbers that are not finite: write it anew")
    return numbers
