"""Our own threads on a CPU, in each of which torch uses one.

Work that goes through many small steps loses little by being split into few large parts, and much
by waiting for other threads after every step, as torch's own threads do: they burn time
while they wait, and more of it when the cores are wanted elsewhere.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")
Part = TypeVar("Part")

ForEach = Callable[[Callable[[Any], None], Iterable[Any]], None]
"""Calls a function with each of some parts of the work, and returns when all are done."""


@contextmanager
def cpu_threads(name: str) -> Iterator[ForEach]:
    """Share work among as many threads as torch uses here; with one, it is done by the caller.

    Args:
        name: Of the threads.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield _one_by_one
        return
    with ThreadPoolExecutor(threads, name) as pool:
        _settle(pool, threads)

        def for_each(run: Callable[[Part], None], parts: Iterable[Part]) -> None:
            def run_without_gradients(part: Part) -> None:
                with torch.inference_mode():  # holds for the thread that enters it
                    run(part)

            for _ in pool.map(run_without_gradients, parts):
                pass

        yield for_each


def _one_by_one(run: Callable[[Part], None], parts: Iterable[Part]) -> None:
    for part in parts:
        run(part)


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
