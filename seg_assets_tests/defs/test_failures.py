"""An error of ours in a step: one sentence without a stack, retried only where that can help."""

from pathlib import Path

import dagster as dg
import pytest

from seg_assets.defs.failures import plain_failures
from seg_assets.errors import CheckpointError, ImageError, InputError, SegAssetsError, StoreError

SENTENCE = "no shard x is registered in /data: did you mean y?"


def fail_with(error: Exception, folder: Path) -> tuple[dg.ExecuteInProcessResult, dict[str, str]]:
    """Materialise an asset that raises; give the result and the run's tags."""

    @dg.asset
    def broken() -> None:
        with plain_failures():
            raise error

    settings = {"run_retries": {"enabled": True, "max_retries": 2}}
    with dg.DagsterInstance.local_temp(str(folder), overrides=settings) as instance:
        result = dg.materialize([broken], instance=instance, raise_on_error=False)
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        return result, dict(run.tags)


@pytest.mark.parametrize(
    ("kind", "retried"),
    [(InputError, False), (CheckpointError, False), (ImageError, False), (StoreError, True)],
)
def test_only_a_fault_of_the_storage_is_retried(
    kind: type[SegAssetsError], retried: bool, tmp_path: Path
) -> None:
    result, tags = fail_with(kind(SENTENCE), tmp_path)
    assert not result.success
    assert tags["dagster/will_retry"] == str(retried).lower()
    (event,) = result.get_step_failure_events()
    error = event.step_failure_data.error
    assert (error.message, error.stack, error.cause) == (f"{SENTENCE}\n", [], None)
    assert error.cls_name == kind.__name__


def test_other_errors_keep_their_stack_and_are_retried(tmp_path: Path) -> None:
    result, tags = fail_with(ZeroDivisionError("division by zero"), tmp_path)
    (event,) = result.get_step_failure_events()
    assert event.step_failure_data.error.cause.stack
    assert tags["dagster/will_retry"] == "true"


def test_seg_debug_shows_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_DEBUG", "1")
    result, tags = fail_with(InputError(SENTENCE), tmp_path)
    (event,) = result.get_step_failure_events()
    error = event.step_failure_data.error
    assert SENTENCE in error.message
    assert any(__file__ in line for line in error.cause.stack)
    assert tags["dagster/will_retry"] == "false"


def test_it_is_a_failure_as_dagster_knows_it() -> None:
    with pytest.raises(dg.Failure) as caught, plain_failures():
        raise InputError(SENTENCE)
    assert caught.value.description == SENTENCE
    assert str(caught.value) == SENTENCE
