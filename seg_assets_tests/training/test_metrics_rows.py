import pytest

from seg_assets.training.metrics_rows import (
    Clock,
    StepReport,
    evaluate_row,
    is_logged,
    peak_memory_mib,
    train_row,
)


def test_the_loss_is_the_plain_sum_of_the_terms() -> None:
    report = StepReport(terms={"dice": 0.25, "focal": 0.5}, grad_norm=2.0, skipped=False)
    row = train_row(3, 0.5, 0.1, report, images_per_second=8.0, seconds=9.0)
    assert row["loss"] == 0.75
    assert row["terms"] == {"dice": 0.25, "focal": 0.5}
    assert (row["kind"], row["step"], row["epoch"], row["lr"]) == ("train", 3, 0.5, 0.1)
    assert (row["images_per_second"], row["seconds"], row["skipped"]) == (8.0, 9.0, False)


def test_an_evaluation_has_a_row_of_its_own() -> None:
    row = evaluate_row(0, 0.0, {"miou": 0.5}, seconds=1.0)
    assert row == {"kind": "evaluate", "step": 0, "epoch": 0.0, "metrics": {"miou": 0.5}, "seconds": 1.0}  # noqa: E501  # fmt: skip


def test_s31_which_steps_are_logged() -> None:
    assert [s for s in range(1, 31) if is_logged(s, 31, first_logged=2, log_every=10)] == [
        *(1, 2, 10, 20, 30)
    ]
    assert is_logged(31, 31, first_logged=0, log_every=10)  # the last one always


def test_only_steps_count_for_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 10.0, 12.0, 100.0, 102.0, 200.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    clock = Clock(seconds=50.0)  # an earlier session; this one begins at 0
    for _ in range(2):  # from 10 to 12 and from 100 to 102; in between it was evaluated
        clock.start_step()
        clock.end_step(images=8)
    assert clock.images_per_second() == 16 / 4
    assert clock.seconds == 50.0 + 200.0


def test_memory_is_that_of_a_python_process() -> None:
    assert 10 < peak_memory_mib() < 1e6
