"""How many points are decoded together, and what happens when they were too many."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
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


def run_in_threads(
    count: int, batch: int, threads: int, run: Callable[[int, int], Result]
) -> Generator[Result, None, None]:
    """Run over 0 ... count in batches on several CPU threads; the results come in order.

    A batch per thread needs no waiting within its many small steps, as torch's own threads do. At
    most one result per thread waits for the consumer.

    Args:
        count: Number of elements.
        batch: Elements at a time.
        threads: Threads; torch uses one in each of them.
        run: Called with the first element of a batch and the one after its last.
    """
    with ThreadPoolExecutor(threads, "point-decoder") as pool:
        _settle(pool, threads)
        waiting: deque[Future[Result]] = deque()
        try:
            for start in range(0, count, batch):
                waiting.append(pool.submit(run, start, min(start + batch, count)))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _settle(pool: ThreadPoolExecutor, threads: int) -> None:
    """Let torch use one thread in each of the pool's, and as many as before in all others."""
    before = torch.get_num_threads()
    all_set = threading.Barrier(threads + 1)

    def use_one() -> None:
        torch.get_num_threads()  # a thread's first question sets its number from the common one
        torch.set_num_threads(1)
        all_set.wait()

    for _ in range(threads):
        pool.submit(use_one)
    all_set.wait()
    # The number holds for the thread that sets it and for threads that start later.
    torch.set_num_threads(before)
