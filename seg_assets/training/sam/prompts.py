"""Prompts as a user would give them: boxes drawn loosely, clicks into what is still wrong."""

import numpy as np
import torch
from torch import Tensor

from seg_assets.training.sam.params import NoiseParams

FOREGROUND, BACKGROUND, PADDING = 1, 0, -1


def shake_boxes(
    boxes: np.ndarray, size: tuple[int, int], params: NoiseParams, rng: np.random.Generator
) -> np.ndarray:
    """Move the sides of boxes at random.

    Args:
        boxes: x0, y0, x1, y1, (N, 4) float, in pixels of the model's input.
        size: Rows and columns of the scaled image, which boxes are clipped to.
        params: The kind of noise. "outward" is that of MindSpore's FLARE recipe, "gaussian" that of
            the SAM paper.
        rng: Source of the noise.

    Returns:
        (N, 4) float32.
    """
    boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    if params.kind == "none":
        return boxes
    if params.kind == "outward":
        moved = rng.integers(0, params.max_pixels + 1, boxes.shape) * np.array([-1, -1, 1, 1])
    else:
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)  # (N, 4): width, height, width, height
        moved = rng.standard_normal(boxes.shape) * params.share * sides
        moved = moved.clip(-params.max_pixels, params.max_pixels)
    rows, columns = size
    shaken = (boxes + moved).clip(0, [columns, rows, columns, rows])
    # Two opposite sides that passed each other have swapped their places.
    corners = np.sort(shaken.reshape(-1, 2, 2), axis=1)
    return corners.reshape(-1, 4).astype(np.float32)


def pick_points(regions: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Choose one pixel of each region; all are equally likely.

    The draws come from outside, so that the choice depends neither on the device nor on how
    objects are cut into batches.

    Args:
        regions: (N, H, W) bool.
        draws: (N,) float64 in [0, 1), uniform.

    Returns:
        x, y of the pixels, (N, 2) float32, and whether there was any, (N,) bool; x = y = 0 where
        there was none.
    """
    flat = regions.flatten(1)  # (N, H * W)
    # The k-th pixel of a region is the first with k region pixels up to and including itself.
    reached = flat.cumsum(1, dtype=torch.int32)
    counts = reached[:, -1]
    wanted = (draws.to(flat.device) * counts).to(torch.int32).clamp(max=counts - 1) + 1
    index = torch.searchsorted(reached, wanted[:, None])[:, 0]
    found = counts > 0
    index = torch.where(found, index, 0)
    columns = regions.shape[-1]
    return torch.stack([index % columns, index // columns], 1).float(), found


def first_points(masks: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """A click on each object.

    Args:
        masks: True masks, (N, H, W) bool.
        draws: (N,) float64 in [0, 1), uniform.

    Returns:
        x, y, (N, 2) float32, and labels, (N,) int64: 1, or -1 (no click) for an empty mask.
    """
    points, found = pick_points(masks, draws)
    return points, torch.where(found, FOREGROUND, PADDING)


def next_points(masks: Tensor, predicted: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """A click into what each predicted mask got wrong.

    Args:
        masks: True masks, (N, H, W) bool.
        predicted: Masks so far, (N, H, W) bool.
        draws: (N,) float64 in [0, 1), uniform.

    Returns:
        x, y, (N, 2) float32, and labels, (N,) int64: 1 where the object was missed, 0 where the
        mask has too much, -1 (no click) where nothing is wrong.
    """
    points, found = pick_points(masks ^ predicted, draws)
    columns, rows = points.long().unbind(1)
    missed = masks[torch.arange(len(masks), device=masks.device), rows, columns]
    return points, torch.where(found, torch.where(missed, FOREGROUND, BACKGROUND), PADDING)
