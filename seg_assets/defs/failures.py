"""How an error of ours ends a Dagster run: one sentence, and no retry where none can help."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from seg_assets.errors import SegAssetsError, StoreError

RETRY_TAG = "dagster/retry_on_asset_or_op_failure"
"""Dagster's tag of a run; "false": retry it if its process dies, but not because a step failed."""


class PlainFailure(DagsterUserCodeProcessError, dg.Failure):
    """A failure that terminal and UI show as its sentence alone.

    Dagster prints the stack of every exception, a `dg.Failure`'s too, unless it takes the exception
    for a report from another process. That class is not public: without it as a base, this would
    still be a failure with its sentence, and thirty lines of stack below it.
    """

    def __init__(self, error: SegAssetsError) -> None:
        plain = SerializableErrorInfo(f"{error}\n", stack=[], cls_name=type(error).__name__)
        super().__init__(str(error), user_code_process_error_infos=[plain])


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn an error that is meant for the user into a failure of the step, with its sentence.

    Storage that does not answer may answer later, so a StoreError leaves retries as they are. All
    other errors (wrong usage, missing weights) would come again: the run is marked not to be
    retried for them. SEG_DEBUG=1 keeps the traceback.

    A block in an asset's body; around a check it may also be a decorator. (Around an asset, a
    decorator would hide the body from Dagster's links to the code.)

    Raises:
        dg.Failure: in place of any SegAssetsError.
    """
    try:
        yield
    except SegAssetsError as error:
        if not isinstance(error, StoreError):
            _forbid_retry()
        if os.environ.get("SEG_DEBUG") == "1":
            raise dg.Failure(description=str(error)) from error
        raise PlainFailure(error) from None


def _forbid_retry() -> None:
    try:
        context = dg.OpExecutionContext.get()
    except dg.DagsterInvariantViolationError:  # a config that is made outside a run
        return
    context.instance.add_run_tags(context.run_id, {RETRY_TAG: "false"})
