"""The prompt that SEEM sees for a region: the region without its rim.

SAM's outlines are off by a few pixels; the rim would show SEEM a little of the neighbours. So a
region is eroded before it becomes a prompt (specification of the SAM + SEEM pipeline, "prompt mask
for a region").
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from seg_assets.labels.params import LabelParams


@dataclass(frozen=True)
class RegionBox:
    """Where a region lies: rows top..bottom - 1, columns left..right - 1."""

    region_id: int
    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class RegionPrompt:
    """The prompt pixels of one region, in image coordinates and reading order."""

    region_id: int
    rows: np.ndarray
    columns: np.ndarray


def region_boxes(ids: np.ndarray) -> list[RegionBox]:
    """Find the bounding boxes of all regions at once, by ascending region id.

    Args:
        ids: (H, W) integer region ids, 0 = no region.
    """
    height, width = ids.shape
    count = int(ids.max(initial=0)) + 1
    in_row, in_column = np.zeros((count, height), bool), np.zeros((count, width), bool)
    # Row by row: arrays of positions would take several times the memory of the map.
    columns = np.arange(width)
    for y, row in enumerate(ids):
        in_row[row, y] = True
        in_column[row, columns] = True
    present = np.flatnonzero(in_row[1:].any(axis=1)) + 1
    in_row, in_column = in_row[present], in_column[present]
    top, left = in_row.argmax(axis=1), in_column.argmax(axis=1)
    bottom = height - in_row[:, ::-1].argmax(axis=1)
    right = width - in_column[:, ::-1].argmax(axis=1)
    return [
        RegionBox(*map(int, box)) for box in zip(present, top, left, bottom, right, strict=True)
    ]


@cache
def ellipse_kernel(size: int) -> np.ndarray:
    """(size, size) uint8 disc; row dy spans round(sqrt(r^2 - dy^2)) pixels to each side.

    Written out because it is part of the labelling rule and must not follow OpenCV's releases.
    """
    radius = size // 2
    offsets = np.arange(size) - radius
    kernel = np.zeros((size, size), np.uint8)
    for row, dy in enumerate(offsets):
        half = round(math.sqrt(radius**2 - int(dy) ** 2))
        kernel[row] = np.abs(offsets) <= half
    return kernel


def erode_region(region: np.ndarray, params: LabelParams) -> np.ndarray:
    """Erode a region into its prompt; the array's border does not erode.

    1. Erode with the large ellipse; if nothing is left, the region itself is the prompt.
    2. If less than `erosion_keep` of it is left, erode with the small ellipse instead. It lies
       inside the large one, so it leaves at least as much: the prompt of a region is never empty.

    Args:
        region: (h, w) bool.
        params: sizes of the ellipses and the share to keep.

    Returns:
        (h, w) bool, a subset of `region`.
    """
    pixels = np.ascontiguousarray(region).view(np.uint8)
    eroded = cv2.erode(pixels, ellipse_kernel(params.erosion_size))
    left, area = np.count_nonzero(eroded), np.count_nonzero(pixels)
    if left == 0:
        return region
    if left / area < params.erosion_keep:
        eroded = cv2.erode(pixels, ellipse_kernel(params.gentle_erosion_size))
    return eroded.astype(bool)


def region_prompts(
    ids: np.ndarray, boxes: list[RegionBox], params: LabelParams
) -> Iterator[RegionPrompt]:
    """Yield the prompt of each region in `boxes`, working on its own box of the map only.

    The box is widened by the radius of the ellipse as far as the image goes, so the outcome equals
    the erosion of a full-size mask, at the image's border too.

    Args:
        ids: (H, W) integer region ids.
        boxes: as `region_boxes` finds them.
        params: sizes of the ellipses and the share to keep.
    """
    margin = max(params.erosion_size, params.gentle_erosion_size) // 2
    for box in boxes:
        top, left = max(box.top - margin, 0), max(box.left - margin, 0)
        crop = ids[top : box.bottom + margin, left : box.right + margin] == box.region_id
        rows, columns = np.nonzero(erode_region(crop, params))
        yield RegionPrompt(box.region_id, rows + top, columns + left)


def scale_prompt(
    prompt: RegionPrompt, image_size: tuple[int, int], input_size: tuple[int, int]
) -> RegionPrompt:
    """The same prompt in the pixels of a resized image.

    A pixel of the resized image belongs to the prompt if the centre of one of the prompt's pixels
    falls into it: a prompt that is not empty never becomes empty, however small the image gets.

    Args:
        prompt: in pixels of `image_size`.
        image_size: (height, width) of the image.
        input_size: (height, width) of the resized image.
    """
    if image_size == input_size:
        return prompt
    rows = (2 * prompt.rows + 1) * input_size[0] // (2 * image_size[0])
    columns = (2 * prompt.columns + 1) * input_size[1] // (2 * image_size[1])
    top, left = rows.min(), columns.min()
    touched = np.zeros((rows.max() - top + 1, columns.max() - left + 1), bool)
    touched[rows - top, columns - left] = True
    rows, columns = np.nonzero(touched)
    return RegionPrompt(prompt.region_id, rows + top, columns + left)
