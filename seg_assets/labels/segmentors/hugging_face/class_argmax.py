"""The best class of every pixel, from class scores at a lower resolution."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Scores of this many pixels exist at once at the image's size; a few classes of a photograph.
PIXELS_AT_ONCE = 2**25


def class_argmax(
    scores: Tensor, size: tuple[int, int], *, align_corners: bool = False
) -> np.ndarray:
    """Scale scores bilinearly to `size` and take the class of the highest; of equals the first.

    The classes are scaled a few at a time, so that memory does not grow with their number.

    Args:
        scores: (C, h, w) float32, at most 255 classes.
        size: (H, W) of the image.
        align_corners: see `torch.nn.functional.interpolate`.

    Returns:
        (H, W) uint8.
    """
    best = torch.full(size, -torch.inf, device=scores.device)
    labels = torch.zeros(size, dtype=torch.uint8, device=scores.device)
    step = max(1, PIXELS_AT_ONCE // (size[0] * size[1]))
    for start in range(0, len(scores), step):
        scaled = functional.interpolate(
            scores[None, start : start + step], size, mode="bilinear", align_corners=align_corners
        )[0]
        highest, which = scaled.max(0)
        better = highest > best
        best = torch.where(better, highest, best)
        labels = torch.where(better, (which + start).to(torch.uint8), labels)
    return labels.cpu().numpy()
