"""How many points are decoded together, and what happens when they were too many."""

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


def run_in_batches(count: int, batch: int, run: Callable[[int, int], Result]) -> Iterator[Result]:
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
