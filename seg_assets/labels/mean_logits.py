"""Mean over each mask of logits that are scaled bilinearly to its size, without scaling them."""

from collections.abc import Sequence

import numpy as np

from seg_assets.errors import InputError
from seg_assets.masks.rle import Rle


def mean_logits(
    masks: Sequence[Rle], logits: np.ndarray, *, align_corners: bool = False
) -> np.ndarray:
    """Mean of every class's logits over the pixels of each mask: (N, C) float64.

    Args:
        masks: of one image of H x W pixels; an empty one has means of nan.
        logits: (C, h, w) float32, at any size.
        align_corners: how they are scaled, as in `torch.nn.functional.interpolate`.

    Raises:
        InputError: the masks differ in size or are damaged, or the logits have another shape.
    """
    if logits.ndim != 3 or logits.size == 0:
        raise InputError(f"logits are (C, h, w) and not empty, not {logits.shape}")
    means = np.full((len(masks), len(logits)), np.nan)
    for i, mask in enumerate(masks):
        rows = _weights(logits.shape[1], mask.height, align_corners)
        columns = _weights(logits.shape[2], mask.width, align_corners)
        inside = mask.decode().astype(np.float64)
        if inside.any():
            weights = rows.T @ inside @ columns
            means[i] = np.tensordot(logits.astype(np.float64), weights, 2) / inside.sum()
    return means


def _weights(source: int, target: int, align_corners: bool) -> np.ndarray:
    """What each of `target` pixels reads from `source` ones, (target, source) float64."""
    pixels = np.arange(target, dtype=np.float64)
    if align_corners:
        positions = pixels * ((source - 1) / (target - 1) if target > 1 else 0.0)
    else:
        positions = np.maximum((pixels + 0.5) * (source / target) - 0.5, 0.0)
    low = np.minimum(positions.astype(np.int64), source - 1)
    high = np.minimum(low + 1, source - 1)
    weights = np.zeros((target, source))
    weights[np.arange(target), low] += 1 - (positions - low)
    weights[np.arange(target), high] += positions - low
    return weights
