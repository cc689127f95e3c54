"""Reading a map at many points, where many regions share the map.

The same bilinear reading as `prompts.sample`, with cells in rows: a point gathers four rows,
instead of four numbers from each channel's own plane.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seg_assets.modeling.seem.prompts import Points

CELL_WEIGHTS = 2**22  # of as many means as are taken together: 16 MiB


class Taps(NamedTuple):
    """The four cells round each point, and what each counts.

    Attributes:
        cells: (N, P, 4) int64, in reading order of the map.
        weights: (N, P, 4) float32, adding up to 1.
    """

    cells: Tensor
    weights: Tensor


def bilinear_taps(xy: Tensor, size: tuple[int, int]) -> Taps:
    """Where points read a map whose corner cells lie at 0 and 1.

    Args:
        xy: (N, P, 2) float32 in 0..1.
        size: height and width of the map.
    """
    height, width = size
    at = xy * torch.tensor([width - 1, height - 1], device=xy.device, dtype=xy.dtype)
    low = at.floor()
    (right, down), (x, y) = (at - low).unbind(-1), low.long().unbind(-1)
    below, beside = (y + 1).clamp(max=height - 1), (x + 1).clamp(max=width - 1)
    return Taps(
        torch.stack(
            [y * width + x, y * width + beside, below * width + x, below * width + beside], -1
        ),
        torch.stack(
            [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], -1
        ),
    )


def read_rows(rows: Tensor, taps: Taps) -> Tensor:
    """Interpolate rows (cells, C) at points: (N, P, C) in the type of the rows."""
    cells, weights = taps.cells.flatten(0, 1), taps.weights.flatten(0, 1).to(rows.dtype)
    values = F.embedding_bag(cells, rows, per_sample_weights=weights, mode="sum")
    return values.unflatten(0, taps.cells.shape[:2])


def mean_at(feature_map: Tensor, points: Points) -> Tensor:
    """Mean over the valid points of each region of a map read at them.

    The mean of interpolated cells is a weighted mean of the cells, hence one matrix product.

    Args:
        feature_map: (1, C, h, w).
        points: of N regions.

    Returns:
        (N, C) float32, zero for a region without points.
    """
    size = feature_map.shape[-2:]
    rows = feature_map[0].flatten(1).T
    means = []
    together = max(1, CELL_WEIGHTS // len(rows))
    with torch.autocast(rows.device.type, enabled=False):
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        for xy, valid in zip(points.xy.split(together), points.valid.split(together), strict=True):
            taps = bilinear_taps(xy, (size[0], size[1]))
            share = valid / valid.sum(1, keepdim=True).clamp(min=1)
            counted = (taps.weights * share[..., None]).flatten(1).to(rows.dtype)
            weights = counted.new_zeros(len(xy), len(rows))
            means.append(weights.scatter_add_(1, taps.cells.flatten(1), counted) @ rows)
    return torch.cat(means)
