"""Several processes that train together: who does which share, and sums over all of them.

One process needs no set-up: it is rank 0 of 1.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, distributed


def rank() -> int:
    """Number of this process, from 0."""
    return distributed.get_rank() if _several() else 0


def process_count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _several() else 1


def share_of_rank(count: int) -> range:
    """Which of `count` held-out samples this process measures: every n-th, from its rank on."""
    return range(rank(), count, process_count())


def sum_tensor(tensor: Tensor) -> Tensor:
    """Sum over all processes; every one must ask, with a tensor of the same shape.

    Args:
        tensor: Any shape and number type, on any device; it is left as it is.

    Returns:
        The sum, on the device of `tensor`.
    """
    if not _several():
        return tensor
    total = tensor.detach().clone()
    if distributed.get_backend() == "nccl":
        total = total.cuda()
    distributed.all_reduce(total)
    return total.to(tensor.device)


def sum_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """Sum each number over all processes; every one must ask, with the same keys in one order."""
    values = torch.tensor(list(numbers.values()), dtype=torch.float64)
    return dict(zip(numbers, sum_tensor(values).tolist(), strict=True))


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()
