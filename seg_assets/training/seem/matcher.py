"""Which query answers for which target: Hungarian matching, alike for every prediction head."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from seg_assets.training.seem.params import MatchCosts


@dataclass(frozen=True)
class Pairs:
    """P matched pairs; each field is (P,) int64: query `queries[i]` of image `images[i]` ..."""

    heads: Tensor
    images: Tensor
    queries: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.heads)


def total_cost(costs: MatchCosts, probability: Tensor, bce: Tensor, dice: Tensor) -> Tensor:
    """Weighted sum of three (heads, B, Q, N) tensors; a high probability lowers the cost."""
    return costs.bce * bce + costs.dice * dice - costs.classes * probability


def match(cost: Tensor, valid: Tensor) -> Pairs:
    """Pair queries and targets so that the sum of costs is smallest, per head and image.

    Args:
        cost: (heads, B, Q, N) float.
        valid: (B, N) bool, False for padding; true targets come first.

    Returns:
        min(Q, targets) pairs per head and image, on the device of `cost`.
    """
    table = np.nan_to_num(cost.detach().float().cpu().numpy(), nan=1e9, posinf=1e9, neginf=-1e9)
    numbers = valid.sum(1).tolist()
    rows: list[np.ndarray] = [np.zeros((4, 0), np.int64)]
    for head in range(table.shape[0]):
        for image, number in enumerate(numbers):
            query, target = linear_sum_assignment(table[head, image, :, :number])
            place = np.full_like(query, head), np.full_like(query, image)
            rows.append(np.stack([*place, query, target]))
    found = torch.from_numpy(np.concatenate(rows, axis=1)).to(cost.device)
    return Pairs(*found)


def match_own(cost: Tensor, valid: Tensor) -> Pairs:
    """Give each target the cheapest query of its own group.

    Args:
        cost: (heads, B, group, N) float, of each target's own queries.
        valid: (B, N) bool, False for padding.

    Returns:
        One pair per head and valid target; queries count through all groups, target by target.
    """
    heads, images, group, count = cost.shape
    best = cost.detach().argmin(2) + group * torch.arange(count, device=cost.device)
    head, image, target = valid.expand(heads, images, count).nonzero(as_tuple=True)
    return Pairs(head, image, best[head, image, target], target)


def own_costs(cost: Tensor) -> Tensor:
    """Of (heads, B, N * group, N) costs those of each target's own queries: (heads, B, group, N).

    The queries of target n lie at n * group onwards.
    """
    return cost.unflatten(2, (cost.shape[3], -1)).diagonal(dim1=2, dim2=4)
