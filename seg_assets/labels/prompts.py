"""The prompt that SEEM sees for a region: the region without its rim.

SAM's outlines are off by a few pixels; the rim would show SEEM a little of the neighbours. So a
region is eroded before it becomes a prompt (specification of the SAM + SEEM pipeline, "prompt mask
for a region").
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from seg_assets.errors import InputError
from seg_assets.labels.params import LabelParams
from seg_assets.labels.prompt_pixels import clearances, count_depths, list_pixels, mark_survivors

LARGEST_ID = int(np.iinfo(np.int32).max)


@dataclass(frozen=True)
class RegionPrompt:
    """The prompt pixels of one region, in image coordinates and reading order."""

    region_id: int
    rows: np.ndarray
    columns: np.ndarray


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


def region_prompts(ids: np.ndarray, params: LabelParams) -> list[RegionPrompt]:
    """The prompt of every region that has pixels, by ascending region id.

    1. Erode with the large ellipse; if nothing is left, the region itself is the prompt.
    2. If less than `erosion_keep` of it is left, erode with the small ellipse instead. It lies
       inside the large one, so it leaves at least as much: the prompt of a region is never empty.

    The image's border does not erode.

    Args:
        ids: (H, W) integer region ids from 0, 0 = no region.
        params: sizes of the ellipses and the share to keep.

    Raises:
        InputError: an id is negative or beyond int32, or the ids are no integers.
    """
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"a region map of type {ids.dtype} holds no region ids: give integers")
    if ids.size == 0:
        return []
    if ids.min() < 0:
        raise InputError(f"a region map holds {ids.min()}: region ids begin with 1, 0 = no region")
    if ids.max() > LARGEST_ID:
        raise InputError(
            f"a region map holds {ids.max()}: number its regions from 1, {LARGEST_ID} is the "
            "largest id"
        )
    ids = np.ascontiguousarray(ids, np.int32)
    clearance, depths = clearances(ids), np.zeros(ids.shape, np.uint8)
    for mark, size in ((1, params.gentle_erosion_size), (2, params.erosion_size)):
        half_widths = (ellipse_kernel(size).sum(axis=1) // 2).astype(np.uint8)
        mark_survivors(ids, clearance, half_widths, mark, depths)
    counts = count_depths(ids, depths, int(ids.max()) + 1)
    counts[0] = 0  # no region
    area, deep = counts.sum(axis=1), counts[:, 2]
    enough = deep / np.maximum(area, 1) >= params.erosion_keep
    needed = np.where(deep == 0, 0, np.where(enough, 2, 1))
    left = counts[:, ::-1].cumsum(axis=1)[np.arange(len(counts)), 2 - needed]
    starts = np.concatenate([[0], left.cumsum()])
    rows, columns = list_pixels(ids, depths, needed, starts)
    return [
        RegionPrompt(i, rows[starts[i] : starts[i + 1]], columns[starts[i] : starts[i + 1]])
        for i in np.flatnonzero(area).tolist()
    ]


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
    rows = (2 * prompt.rows.astype(np.int64) + 1) * input_size[0] // (2 * image_size[0])
    columns = (2 * prompt.columns.astype(np.int64) + 1) * input_size[1] // (2 * image_size[1])
    top, left = rows.min(), columns.min()
    touched = np.zeros((rows.max() - top + 1, columns.max() - left + 1), bool)
    touched[rows - top, columns - left] = True
    rows, columns = np.nonzero(touched)
    return RegionPrompt(prompt.region_id, rows + top, columns + left)
