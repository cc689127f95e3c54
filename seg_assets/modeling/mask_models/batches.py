"""How many points are decoded together, and what happens when they were too many."""

import logging
from collections.abc import Callable, Generator
from typing import TypeVar

import torch

Result = TypeVar("Result")

_log = logging.getLogger(__name__)

# Share of the free GPU memory that a batch may take: the estimate per point is a rough one.
_MEMORY_SHARE = 0.5
# More points than these keep no GPU busier.
_MOST_ON_GPU = 256


def points_that_fit(device: torch.device, bytes_per_point: int) -> int:
    """How many points a GPU's free memory has room for, at least one."""
    free, _ = torch.cuda.mem_get_info(device)
    # what the allocator holds for itself is free to us too
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(min(int(_MEMORY_SHARE * free) // bytes_per_point, _MOST_ON_GPU), 1)


def run_in_batches(
    count: int, batch: int, run: Callable[[int, int], Result]
) -> Generator[Result, None, None]:
    """Run over 0 ... count in batches; a batch that does not fit into GPU memory is halved.

    What had been yielded stays, and the batch that failed is run again in smaller ones.

    Args:
        count: Number of elements.
        batch: Elements at a time, at first.
        run: Called with the first element of a batch and the one after its last.

    Raises:
        torch.cuda.OutOfMemoryError: A single element does not fit.
    """
    start = 0
    while start < count:
        stop = min(start + batch, count)
        try:
            result = run(start, stop)
        except torch.cuda.OutOfMemoryError:
            if stop - start == 1:
                raise
            result = None
        if result is None:  # outside of the handler, whose traceback holds the tensors
            batch = (stop - start) // 2
            _log.warning("GPU memory is short: decoding %d points at a time from here", batch)
            torch.cuda.empty_cache()
            continue
        yield result
        start = stop
