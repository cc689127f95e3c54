"""Images taken through reading, computing and finishing side by side."""

import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from seg_assets.stages.overlap import Steps, overlapped

SOON = 20  # seconds after which a test gives up waiting; none waits that long when all is well
IMAGES = [f"{number:03d}" for number in range(11)]

MODES = pytest.mark.parametrize(
    ("together", "overlap"), [(1, False), (1, True), (3, False), (4, True), (50, True)]
)


def _steps(
    read: Callable[[str], Any] = str,
    compute: Callable[[Sequence[Any]], Sequence[Any]] = list,
    finish: Callable[[str, Any], Any] = lambda image_id, found: (image_id, found),
    together: int = 1,
    overlap: bool = False,
) -> Steps[Any, Any, Any]:
    return Steps(read, compute, finish, together=together, overlap=overlap)


def _results(steps: Steps[Any, Any, Any], image_ids: Sequence[str] = IMAGES) -> dict[str, Any]:
    """What each image gave, or the text of its error, in the order in which they come."""
    results = {}
    for image_id, outcome in overlapped(image_ids, steps):
        try:
            results[image_id] = outcome()
        except Exception as error:
            results[image_id] = f"{type(error).__name__}: {error}"
    return results


@MODES
@pytest.mark.parametrize("count", [0, 1, 3, 11])
def test_every_image_comes_once_with_its_own_result_and_in_order(together, overlap, count):
    steps = _steps(
        read=lambda image_id: image_id + " read",
        compute=lambda data: [item + " computed" for item in data],
        finish=lambda image_id, found: f"{image_id}: {found} finished",
        together=together,
        overlap=overlap,
    )
    results = _results(steps, IMAGES[:count])
    assert list(results) == IMAGES[:count]
    assert all(text == f"{i}: {i} read computed finished" for i, text in results.items())


@MODES
def test_an_outcome_can_be_asked_for_later_and_twice(together, overlap):
    outcomes = list(overlapped(IMAGES, _steps(together=together, overlap=overlap)))
    for _ in range(2):
        assert [outcome() for _, outcome in outcomes] == [(i, i) for i in IMAGES]


def _failing_at(bad: set[str], step: str) -> Callable[[str], str]:
    def work(image_id: str) -> str:
        if image_id in bad:
            raise ValueError(f"{step} of {image_id}")
        return image_id

    return work


@MODES
@pytest.mark.parametrize("bad", [{"000"}, {"010"}, {"003", "004", "005"}, set(IMAGES)], ids=len)
@pytest.mark.parametrize("step", ["read", "compute", "finish"])
def test_an_image_that_fails_in_a_step_fails_alone(together, overlap, bad, step):
    work = _failing_at(bad, step)
    steps = _steps(
        read=work if step == "read" else str,
        compute=(lambda data: [work(i) for i in data]) if step == "compute" else list,
        finish=lambda image_id, _: work(image_id) if step == "finish" else image_id,
        together=together,
        overlap=overlap,
    )
    expected = {i: f"ValueError: {step} of {i}" if i in bad else i for i in IMAGES}
    assert list(_results(steps).items()) == list(expected.items())


def test_only_the_group_that_fails_is_tried_one_by_one():
    sizes = []

    def compute(data):
        sizes.append(len(data))
        if "004" in data:
            raise MemoryError("too many at a time" if len(data) > 1 else "too large")
        return data

    results = _results(_steps(compute=compute, together=3))
    assert sizes == [3, 3, 1, 1, 1, 3, 2]
    assert results.pop("004") == "MemoryError: too large"
    assert results == {i: (i, i) for i in IMAGES if i != "004"}


def test_images_that_cannot_be_read_do_not_reach_the_device():
    seen = []
    steps = _steps(
        read=_failing_at({"001", "003", "004", "005"}, "read"),
        compute=lambda data: seen.append(list(data)) or data,
        together=3,
    )
    results = _results(steps, IMAGES[:6])
    assert seen == [["000", "002"]]
    assert [i for i, result in results.items() if result == (i, i)] == ["000", "002"]


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_shall_end_the_program_is_no_images_failure(overlap, stop):
    def compute(_):
        raise stop

    with pytest.raises(stop):
        _results(_steps(compute=compute, together=2, overlap=overlap))


def test_findings_that_are_too_few_are_not_given_to_the_wrong_images():
    with pytest.raises(ValueError, match="zip"):
        _results(_steps(compute=lambda data: data[1:], together=3))


def test_an_error_keeps_its_cause_and_its_place():
    def compute(_):
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error

    ((_, outcome),) = overlapped(["a"], _steps(compute=compute))
    with pytest.raises(RuntimeError, match="outer") as caught:
        outcome()
    assert isinstance(caught.value.__cause__, KeyError)
    assert "compute" in [entry.name for entry in caught.traceback]


@pytest.mark.parametrize("overlap", [False, True])
def test_an_image_that_failed_holds_no_memory_while_the_next_is_computed(overlap):
    """Else the images after one that was too large for the device find it full."""
    held: list[weakref.ref] = []
    alive = []

    def compute(data):
        if len(data) > 1:
            raise MemoryError("together they are too many")
        alive.append(sum(reference() is not None for reference in held))
        large = np.zeros(1000)
        held.append(weakref.ref(large))
        try:
            raise KeyError("the allocator's")
        except KeyError:
            raise MemoryError(f"no room for {len(large)}")  # noqa: B904

    results = _results(_steps(compute=compute, together=4, overlap=overlap), IMAGES[:4])
    assert set(results.values()) == {"MemoryError: no room for 1000"}
    assert alive == [0, 0, 0, 0]


@MODES
def test_no_more_images_are_read_than_two_groups_before_they_are_computed(together, overlap):
    lock = threading.Lock()
    waiting, most = set(), 0

    def read(image_id):
        nonlocal most
        with lock:
            waiting.add(image_id)
            most = max(most, len(waiting))
        return image_id

    def compute(data):
        with lock:
            waiting.difference_update(data)
        return data

    image_ids = [str(number) for number in range(20 * together)]
    _results(_steps(read=read, compute=compute, together=together, overlap=overlap), image_ids)
    assert most <= 2 * together


def test_a_caller_who_does_not_ask_on_is_not_overtaken():
    """Results wait in memory, so their number must not grow with that of the images."""
    read, computed = [], []
    steps = _steps(
        read=lambda image_id: read.append(image_id) or image_id,
        compute=lambda data: computed.extend(data) or data,
        together=2,
        overlap=True,
    )
    image_ids = [str(number) for number in range(100)]
    for number, (_, outcome) in enumerate(overlapped(image_ids, steps)):
        outcome()
        assert len(computed) <= number + 2 * steps.together
        assert len(read) <= len(computed) + 2 * steps.together


@pytest.mark.parametrize("together", [1, 3])
def test_the_next_group_is_read_while_one_is_computed(together):
    was_read = {image_id: threading.Event() for image_id in IMAGES}

    def compute(data):
        last = IMAGES.index(data[-1])
        for image_id in IMAGES[last + 1 : last + 1 + together]:
            assert was_read[image_id].wait(SOON)
        return data

    def read(image_id):
        was_read[image_id].set()
        return image_id

    results = _results(_steps(read=read, compute=compute, together=together))
    assert results == {i: (i, i) for i in IMAGES}


@pytest.mark.parametrize("together", [1, 3])
def test_images_are_finished_while_the_next_group_is_computed(together):
    """Computing a group waits until an image of the group before is being finished, and that one
    waits until the group is being computed: neither could come first."""
    meeting = threading.Barrier(2)
    groups = [IMAGES[i : i + together] for i in range(0, len(IMAGES), together)]

    def compute(data):
        if data != groups[0]:
            meeting.wait(SOON)
        return data

    def finish(image_id, found):
        if image_id in [group[-1] for group in groups[:-1]]:
            meeting.wait(SOON)
        return found

    results = _results(_steps(compute=compute, finish=finish, together=together, overlap=True))
    assert results == {i: i for i in IMAGES}


@pytest.mark.parametrize("overlap", [False, True])
def test_each_step_has_its_thread(overlap):
    threads: dict[str, set[str]] = {"read": set(), "compute": set(), "finish": set()}

    def note(step, result):
        threads[step].add(threading.current_thread().name)
        return result

    steps = _steps(
        read=lambda i: note("read", i),
        compute=lambda data: note("compute", data),
        finish=lambda i, found: note("finish", found),
        together=2,
        overlap=overlap,
    )
    _results(steps)
    here = threading.current_thread().name
    assert threads["compute"] == {here}
    assert here not in threads["read"]
    assert (threads["finish"] == {here}) is not overlap
    assert all(len(names) == 1 for names in threads.values())


def _within_time(work: Callable[[], None]) -> None:
    """Run in a thread that may hang without hanging the tests."""
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(work).result(SOON)
    finally:
        pool.shutdown(wait=False)


@MODES
@pytest.mark.parametrize("taken", [1, 4])
def test_a_caller_may_stop_in_the_middle(together, overlap, taken):
    def stop_early():
        outcomes = overlapped(IMAGES, _steps(together=together, overlap=overlap))
        for number, (image_id, outcome) in enumerate(outcomes):
            assert outcome() == (image_id, image_id)
            if number + 1 == taken:
                break
        outcomes.close()

    _within_time(stop_early)


@pytest.fixture
def leaving(monkeypatch) -> threading.Event:
    """Set when `overlapped` begins to wait for its threads."""
    left = threading.Event()

    class Pool(ThreadPoolExecutor):
        def __exit__(self, *error):
            left.set()
            return super().__exit__(*error)

    monkeypatch.setattr("seg_assets.stages.overlap.ThreadPoolExecutor", Pool)
    return left


@pytest.mark.parametrize("reason", ["stop", "error"])
def test_what_has_not_begun_when_the_caller_stops_is_not_done(leaving, reason):
    """Ctrl-C or a full disk shall not wait for images whose results nobody wants."""
    begun, read, finished = threading.Event(), [], []

    def read_slowly(image_id):
        read.append(image_id)
        if image_id == "004":  # the first of the group that is read ahead
            begun.set()
            leaving.wait(SOON)
        return image_id

    steps = _steps(
        read=read_slowly,
        finish=lambda image_id, _: finished.append(image_id),
        together=4,
    )
    outcomes = overlapped(IMAGES, steps)
    _, outcome = next(outcomes)
    outcome()
    assert begun.wait(SOON)
    if reason == "stop":
        outcomes.close()
    else:
        with pytest.raises(OSError, match="disk"):
            outcomes.throw(OSError("the disk is full"))
    assert read == IMAGES[:5]
    assert finished == IMAGES[:1]
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("read", "finish"))]


def test_results_that_wait_are_not_finished_when_the_caller_stops(leaving):
    begun, finished = threading.Event(), []

    def finish(image_id, found):
        if image_id == "001":
            begun.set()
            leaving.wait(SOON)
        finished.append(image_id)
        return found

    outcomes = overlapped(IMAGES, _steps(finish=finish, together=4, overlap=True))
    assert next(outcomes)[1]() == "000"
    assert begun.wait(SOON)
    outcomes.close()
    assert finished == ["000", "001"]
