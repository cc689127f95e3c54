"""What a user asks for, as a training task with all its parameters. Nothing here imports torch.

Values come from three places, the later over the earlier ones: defaults and published recipes; what
is given by name; and overrides, which are texts such as "lr=1e-4" or "loss.dice_weight=2".
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from seg_assets.errors import InputError
from seg_assets.training.config import TrainConfig
from seg_assets.training.launch import TrainJob
from seg_assets.training.overrides import apply_overrides, pairs
from seg_assets.training.sam.params import BoxJob, PointJob
from seg_assets.training.sam.presets import SAM_PRESETS, sam_preset, with_preset
from seg_assets.training.seem.params import SeemTaskParams

Params = TypeVar("Params", bound=BaseModel)

SAM_TASKS: dict[str, type[BoxJob] | type[PointJob]] = {"sam_box": BoxJob, "sam_point": PointJob}
DEFAULT_PRESET = "coco_box"
# The loop of a task that is asked for without a preset.
_LOOPS = {"sam_box": "coco_box", "sam_point": "sa1b_point"}

SEEM_TASK = "seem"
# Epochs of the authors' tutorial; the other values are defaults already.
_SEEM_LOOP: Mapping[str, Any] = {"epochs": 30}

_LENGTH = ("steps", "epochs")


@dataclass(frozen=True)
class Recipe:
    """A training, but for the folder that it is written to.

    Attributes:
        task: A name of `registry.TASKS`.
        params: Of the task.
        config: Of the loop.
    """

    task: str
    params: BoxJob | PointJob | SeemTaskParams
    config: TrainConfig

    def job(self, run_dir: Path) -> TrainJob:
        """What the training process is told."""
        params = self.params.model_dump(mode="json")
        return TrainJob(task=self.task, params=params, config=self.config, run_dir=run_dir)


def sam_recipe(
    params: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    *,
    preset: str | None = None,
    task: str | None = None,
) -> Recipe:
    """A fine-tuning of SAM.

    Args:
        params: What `BoxJob` or `PointJob` takes; `train` at least.
        config: What `TrainConfig` takes.
        overrides: Of values of both.
        preset: A published recipe, see `presets.py`; "coco_box" where neither is given.
        task: "sam_box" or "sam_point", with the task's own defaults instead of a recipe.

    Raises:
        InputError: A name, a key or a value is wrong.
    """
    if preset is not None and task is not None:
        raise InputError(f"give the preset {preset} or the task {task}, not both")
    if task is not None and task not in SAM_TASKS:
        raise InputError(f"'{task}' is no training task for SAM; choose {' or '.join(SAM_TASKS)}")
    if task is None:
        preset = preset or DEFAULT_PRESET
        task = sam_preset(preset).task
        params = with_preset({**params, "preset": preset}, task)
    loop = sam_preset(preset or _LOOPS[task]).train
    return _recipe(task, SAM_TASKS[task], params, loop, config or {}, overrides)


def seem_recipe(
    params: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
) -> Recipe:
    """A fine-tuning of SEEM.

    Args:
        params: What `SeemTaskParams` takes; `train` at least.
        config: What `TrainConfig` takes.
        overrides: Of values of both.

    Raises:
        InputError: A key or a value is wrong.
    """
    return _recipe(SEEM_TASK, SeemTaskParams, params, _SEEM_LOOP, config or {}, overrides)


def sam_preset_names() -> tuple[str, ...]:
    """The published recipes."""
    return tuple(SAM_PRESETS)


def _recipe(
    task: str,
    kind: type[BoxJob] | type[PointJob] | type[SeemTaskParams],
    params: Mapping[str, Any],
    loop: Mapping[str, Any],
    config: Mapping[str, Any],
    overrides: Sequence[str],
) -> Recipe:
    for_loop, for_task = _sorted_by_owner(overrides, kind)
    # a length that is asked for takes the place of the recipe's
    under = {k: v for k, v in loop.items() if k not in _LENGTH} if {*config} & {*_LENGTH} else loop
    trained = _validated(TrainConfig, {**under, **config}, "training")
    if {key for key, _ in pairs(for_loop)} & {*_LENGTH}:
        trained = trained.model_copy(update=dict.fromkeys(_LENGTH))
    return Recipe(
        task=task,
        params=apply_overrides(_validated(kind, params, "parameters"), for_task),
        config=apply_overrides(trained, for_loop),
    )


def _sorted_by_owner(
    overrides: Sequence[str], kind: type[BaseModel]
) -> tuple[list[str], list[str]]:
    """Overrides of the loop's values and of the task's, which have no name in common."""
    loop, task = [], []
    for key, value in pairs(overrides):
        first = key.split(".")[0]
        if first in TrainConfig.model_fields:
            loop.append(f"{key}={value}")
        elif first in kind.model_fields:
            task.append(f"{key}={value}")
        else:
            known = [*TrainConfig.model_fields, *kind.model_fields]
            near = difflib.get_close_matches(first, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"choose of {', '.join(known)}"
            raise InputError(f"there is no setting '{key}'; {hint}")
    return loop, task


def _validated(model: type[Params], values: Mapping[str, Any], what: str) -> Params:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "there is no such setting"
        place = f"{what}, {where}" if where else what
        raise InputError(f"{place}: {message[0].lower()}{message[1:]}") from error
