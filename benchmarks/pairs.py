"""Two ways to do the same thing, timed by turns in one process; the memory that a call takes."""

import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Seconds(NamedTuple):
    """Of one run; user and system are over all threads."""

    user: float
    system: float
    wall: float


def timed(run: Callable[[], Any]) -> tuple[Any, Seconds]:
    """What a call gives, and how long it takes."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = run()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    return result, Seconds(after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, wall)


def peak_above(run: Callable[[], Any]) -> float:
    """MiB that a call takes at most above what the process holds before it. Linux only."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew at what is held now
    before = _resident("VmHWM")
    run()
    return (_resident("VmHWM") - before) / 1024


def _resident(key: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(key)).split()[1])


def interleave(
    reference: Callable[[], Any],
    ours: Callable[[], Any],
    pairs: int,
    compare: Callable[[Any, Any], None],
) -> list[tuple[Seconds, Seconds]]:
    """Run both so many times, each first in every other pair, and compare what they give."""
    taken = []
    for pair in range(pairs):
        if pair % 2:
            found, own = timed(ours)
            expected, theirs = timed(reference)
        else:
            expected, theirs = timed(reference)
            found, own = timed(ours)
        taken.append((theirs, own))
        print(f"  pair {pair + 1}: {theirs.user:.2f} s, {own.user:.2f} s of user time", flush=True)
        compare(expected, found)
    return taken


def report(name: str, taken: list[tuple[Seconds, Seconds]]) -> None:
    """Median seconds of both sides, and the median of the pairs' ratios."""
    for kind in Seconds._fields:
        reference, ours = (
            [getattr(side, kind) for side in sides] for sides in zip(*taken, strict=True)
        )
        ratios = sorted(r / max(o, 1e-9) for r, o in zip(reference, ours, strict=True))
        print(
            f"{name}, {kind}: {statistics.median(reference):.2f} s against "
            f"{statistics.median(ours):.3f} s, {statistics.median(ratios):.1f}x "
            f"(pairs from {ratios[0]:.1f}x to {ratios[-1]:.1f}x)"
        )
