"""Reading, computing and finishing images side by side, in their order, each failing alone."""

import logging
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

logger = logging.getLogger(__name__)

Read = TypeVar("Read")
Found = TypeVar("Found")
Result = TypeVar("Result")

Outcome = Callable[[], Result]
"""Gives an image's result, or raises what went wrong with it."""


@dataclass(frozen=True)
class Steps(Generic[Read, Found, Result]):
    """What is done with an image, in three steps.

    Attributes:
        read: Image id -> its data; in a thread that runs ahead (decoding a JPEG leaves Python's
            lock alone).
        compute: Data of several images -> one finding each; in the caller's thread, on the device.
        finish: Image id and its finding -> result.
        together: Images that `compute` receives at most.
        overlap: Whether images are finished in a thread while the next ones are computed. Worth it
            where `compute` is the work of another device than the CPU.
    """

    read: Callable[[str], Read]
    compute: Callable[[Sequence[Read]], Sequence[Found]]
    finish: Callable[[str, Found], Result]
    together: int = 1
    overlap: bool = False


def overlapped(
    image_ids: Sequence[str], steps: Steps[Any, Any, Result]
) -> Iterator[tuple[str, Outcome[Result]]]:
    """Take images through the steps; what each gave, or how it failed, comes in their order.

    Where several images cannot be computed together, each is tried alone, so that one of them does
    not fail the others. A few times `together` images are in memory, however many there are.
    """
    waiting = deque(image_ids)
    reading: deque[tuple[str, Future[Any]]] = deque()
    finishing: deque[tuple[str, Future[Result]]] = deque()
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "finish") as finisher:
        try:
            while waiting or reading:
                # One group is computed while the next one is read.
                while waiting and len(reading) < 2 * steps.together:
                    image_id = waiting.popleft()
                    reading.append((image_id, reader.submit(steps.read, image_id)))
                group = [reading.popleft() for _ in range(min(steps.together, len(reading)))]
                for image_id, found in _computed(group, steps.compute):
                    finish = partial(_finished, steps.finish, image_id, found)
                    if steps.overlap:
                        finishing.append((image_id, finisher.submit(finish)))
                    else:
                        yield image_id, finish
                while len(finishing) > steps.together:
                    image_id, future = finishing.popleft()
                    yield image_id, future.result
            while finishing:
                image_id, future = finishing.popleft()
                yield image_id, future.result
        except BaseException:  # also of a caller who wants no more
            for _, future in (*reading, *finishing):
                future.cancel()
            raise


def _computed(
    group: Sequence[tuple[str, Future[Any]]],
    compute: Callable[[Sequence[Any]], Sequence[Found]],
) -> list[tuple[str, Outcome[Found]]]:
    """The finding of each image of a group, or its error in reading or computing."""
    outcomes: dict[str, Outcome[Found]] = {}
    data = {}
    for image_id, future in group:
        try:
            data[image_id] = future.result()
        except Exception as error:
            outcomes[image_id] = _failure(error)
    if len(data) > 1:
        try:
            found = compute(list(data.values()))
        except Exception as error:  # one may be at fault, or together they are too many
            found = None
            logger.warning("%d images together failed, each is tried alone: %s", len(data), error)
        if found is not None:
            outcomes |= {i: partial(_give, f) for i, f in zip(data, found, strict=True)}
            data = {}
    for image_id, read in data.items():
        try:
            outcomes[image_id] = partial(_give, compute([read])[0])
        except Exception as error:
            outcomes[image_id] = _failure(error)
    return [(image_id, outcomes[image_id]) for image_id, _ in group]


def _finished(
    finish: Callable[[str, Found], Result], image_id: str, found: Outcome[Found]
) -> Result:
    return finish(image_id, found())


def _give(found: Found) -> Found:
    return found


def _failure(error: Exception) -> Outcome[Any]:
    """Raises the error where this image's outcome is asked for.

    Until then it must not hold what was in the hands of the functions it came through: after an
    image for which memory was short, the next one needs it.
    """
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
    return partial(_raise, error)


def _raise(error: Exception) -> NoReturn:
    raise error
