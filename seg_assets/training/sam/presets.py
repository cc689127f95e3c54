"""Published recipes: which task, which parameters, and how the loop runs. No torch here.

Numbers: mindspore-lab/models, official/cv/segment-anything, the configurations coco_box_finetune,
flare_box_finetune, sa1b_box_finetune and sa1b_point_finetune. Losses and points are ours by default
(pixel-wise focal loss, points add up); the rate falls at fractions of the run, where theirs fall at
steps that a short run never reaches.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seg_assets.errors import InputError

_START = {"base": "sam_vit_b"}
# SAM paper, appendix A: steps 60,000 and 86,666 of 90,000.
_LOOP = {
    "betas": (0.9, 0.999),
    "weight_decay": 1e-4,
    "warmup_steps": 250,
    "schedule": "multistep",
    "milestones": (60_000 / 90_000, 86_666 / 90_000),
    "gamma": 0.1,
    "clip_norm": None,
}


@dataclass(frozen=True)
class SamPreset:
    """A recipe by name.

    Attributes:
        task: Name of the task, "sam_box" or "sam_point".
        params: What differs from the defaults of the task's parameters (`BoxJob`, `PointJob`).
        train: What differs from the defaults of `TrainConfig`.
    """

    task: str
    params: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)


SAM_PRESETS = {
    "coco_box": SamPreset(
        task="sam_box",
        params=_START | {"objects_per_image": 20, "eval_objects": 40},
        train=_LOOP | {"lr": 6.4e-5, "batch_size": 16, "epochs": 8, "precision": "bf16"},
    ),
    "flare_box": SamPreset(
        task="sam_box",
        params=_START
        | {
            "objects_per_image": 20,
            "eval_objects": 20,
            "normalisation": "unit",
            "noise": {"kind": "outward", "max_pixels": 20},
        },
        train=_LOOP | {"lr": 1.28e-4, "batch_size": 16, "epochs": 20, "precision": "bf16"},
    ),
    "sa1b_box": SamPreset(
        task="sam_box",
        params=_START | {"objects_per_image": 20},
        train=_LOOP | {"lr": 8e-6, "batch_size": 1, "epochs": 8, "precision": "bf16"},
    ),
    "sa1b_point": SamPreset(
        task="sam_point",
        params=_START | {"objects_per_image": 20, "num_iter": 3, "mask_only": ()},
        train=_LOOP | {"lr": 8e-6, "batch_size": 1, "epochs": 20, "precision": "fp32"},
    ),
}


def sam_preset(name: str) -> SamPreset:
    """The recipe called `name`.

    Raises:
        InputError: There is none; lists those there are.
    """
    if name not in SAM_PRESETS:
        raise InputError(
            f"no recipe for SAM is called '{name}'; choose one of: {', '.join(SAM_PRESETS)}"
        )
    return SAM_PRESETS[name]


def with_preset(params: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Put the values of the recipe that `params["preset"]` names, if any, under the given ones.

    Args:
        params: Parameters of the task.
        task: Its name.

    Raises:
        InputError: There is no such recipe, or it is another task's.
    """
    given = dict(params)
    name = given.pop("preset", None)
    if name is None:
        return given
    preset = sam_preset(str(name))
    if preset.task != task:
        raise InputError(
            f"the recipe '{name}' belongs to the task {preset.task}, not to {task}: "
            "choose another recipe, or that task"
        )
    return _merged(preset.params, given)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `under`; tables in both are merged key by key."""
    merged = {**under, **over}
    for key in under.keys() & over.keys():
        if isinstance(under[key], Mapping) and isinstance(over[key], Mapping):
            merged[key] = _merged(under[key], over[key])
    return merged
