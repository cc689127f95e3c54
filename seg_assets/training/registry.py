"""Training tasks by name, as text: nothing is imported before a task is asked for."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from pydantic import ValidationError

from seg_assets.errors import InputError

if TYPE_CHECKING:
    from seg_assets.training.task import Json, Task

TASKS: dict[str, str] = {
    "sam_box": "seg_assets.training.sam.build:build_box_task",
    "sam_point": "seg_assets.training.sam.build:build_point_task",
    "seem": "seg_assets.training.seem.build:build_seem_task",
}
"""Builders as "module:function"; each takes the task's parameters, as read from JSON."""


def build_task(name: str, params: "Mapping[str, Json]") -> "Task":
    """Build a task.

    Args:
        name: A key of `TASKS`, or "module:function" of a builder of one's own.
        params: What the builder takes, as plain JSON values.

    Raises:
        InputError: There is no such task, or the parameters are wrong.
    """
    module, colon, function = TASKS.get(name, name).partition(":")
    if not colon:
        near = difflib.get_close_matches(name, TASKS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(TASKS)}"
        raise InputError(f"there is no training task '{name}'; {hint}")
    try:
        build = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"the training task {name} cannot be imported: {error}") from error
    try:
        return build(params)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"task {name}, {where}: {first['msg']}") from error
