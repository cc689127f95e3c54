"""finetuned_sam and finetuned_seem: models of your own, which the label assets use by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from seg_assets.defs.failures import plain_failures
from seg_assets.defs.finetuning import RUN_FIELDS, finetune, training_config
from seg_assets.defs.params_schema import choices, params_schema
from seg_assets.defs.resources import DevicesResource, StoreResource
from seg_assets.errors import InputError
from seg_assets.stages.training_dataset import FOLDER, TRAIN, VALIDATION
from seg_assets.storage.store import Store
from seg_assets.training.recipe import SAM_TASKS, sam_preset_names, sam_recipe, seem_recipe
from seg_assets.training.sam.params import PointJob
from seg_assets.training.seem.params import SeemTaskParams

GROUP = "training"
CODE_VERSION = "1"  # raise it when the same config gives other weights
SAM_IMPROVED, SEEM_IMPROVED = "sam_is_better_than_at_start", "seem_is_better_than_at_start"
_BETTER = "The best metric on held-out data is higher than before the first step."
_DATA = (
    "One of {kind: panoptic, folder, split}, {kind: camvid, folder, split} and "
    "{kind: scenes, first_seed, count}."
)

SAM_SCHEMA = {
    **RUN_FIELDS,
    "preset": dg.Field(
        choices("SamPreset", sam_preset_names()),
        is_required=False,
        description="Published recipe; coco_box where neither this nor a task is given.",
    ),
    "task": dg.Field(
        choices("SamTask", tuple(SAM_TASKS)),
        is_required=False,
        description="Instead of a preset: the task with its own defaults.",
    ),
    "params": dg.Field(
        params_schema(PointJob),
        description="What is trained, and from what. `train` is required; num_iter, mask_only, "
        "points and first_prompt are sam_point's alone.",
    ),
}

SEEM_SCHEMA = {
    **RUN_FIELDS,
    "params": dg.Field(
        params_schema(
            SeemTaskParams,
            {"train": f"{_DATA} Here, by default: the asset {FOLDER}.", "held_out": _DATA},
        ),
        default_value={},
        description="What is trained, and from what.",
    ),
}


@dg.asset(
    group_name=GROUP,
    pool="gpu",
    kinds={"pytorch"},
    owners=["team:vision"],
    code_version=CODE_VERSION,
    config_schema=SAM_SCHEMA,
    check_specs=[dg.AssetCheckSpec(SAM_IMPROVED, asset="finetuned_sam", description=_BETTER)],
)
def finetuned_sam(
    context: dg.AssetExecutionContext, store: StoreResource, devices: DevicesResource
) -> dg.MaterializeResult:
    """A SAM fine-tuned by boxes or points on instance masks, and registered under a name."""
    with plain_failures():
        config: Mapping[str, Any] = context.op_execution_context.op_config
        recipe = sam_recipe(
            config["params"],
            training_config(config),
            preset=config.get("preset"),
            task=config.get("task"),
        )
        return finetune(context, recipe, config, store.open(), devices, SAM_IMPROVED)


@dg.asset(
    deps=[FOLDER],
    group_name=GROUP,
    pool="gpu",
    kinds={"pytorch"},
    owners=["team:vision"],
    code_version=CODE_VERSION,
    config_schema=SEEM_SCHEMA,
    check_specs=[dg.AssetCheckSpec(SEEM_IMPROVED, asset="finetuned_seem", description=_BETTER)],
)
def finetuned_seem(
    context: dg.AssetExecutionContext, store: StoreResource, devices: DevicesResource
) -> dg.MaterializeResult:
    """A SEEM fine-tuned on the training data set, or on data of your own, under a name.

    Strategies: adapters in the head or in both, the whole head with or without them, LoRA,
    everything.
    """
    with plain_failures():
        config: Mapping[str, Any] = context.op_execution_context.op_config
        opened = store.open()
        params = dict(config["params"])
        if "train" not in params:
            params = {**_training_dataset(opened), **params}
        recipe = seem_recipe(params, training_config(config))
        return finetune(context, recipe, config, opened, devices, SEEM_IMPROVED)


def _training_dataset(store: Store) -> dict[str, Any]:
    """The folders that the asset training_dataset has written, as parameters."""
    if not store.is_local:
        raise InputError(
            f"the store {store.location()} is not on this machine, so params.train must say what "
            "to train on"
        )
    folder = Path(store.location(FOLDER)).absolute()
    if not (folder / TRAIN).is_dir():
        raise InputError(
            f"there is no training data set at {folder}: materialise {FOLDER}, or give params.train"
        )
    found = {"train": {"kind": "panoptic", "folder": str(folder), "split": TRAIN}}
    if (folder / VALIDATION).is_dir():
        found["held_out"] = {"kind": "panoptic", "folder": str(folder), "split": VALIDATION}
    return found
