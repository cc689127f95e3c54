"""From parameters, as read from JSON, to a training task."""

from collections.abc import Mapping

import torch

from seg_assets.classes.table import load_class_table
from seg_assets.errors import InputError
from seg_assets.modeling.checkpoints import state_sha256
from seg_assets.modeling.seem.config import SEEM_CONFIGS
from seg_assets.modeling.seem.load import load_seem
from seg_assets.modeling.seem.model import Seem
from seg_assets.training.seem.params import SeemTaskParams
from seg_assets.training.seem.sources import open_source
from seg_assets.training.seem.task import SeemTask
from seg_assets.training.task import Json


def build_seem_task(params: Mapping[str, Json] | SeemTaskParams) -> SeemTask:
    """Load the model, open the data and make the task.

    Args:
        params: what `SeemTaskParams` takes.

    Raises:
        InputError: no such model, network, class table or data.
        CheckpointError: the base's weights are missing, damaged or do not fit.
    """
    wanted = SeemTaskParams.model_validate(params)
    table = None if wanted.classes is None else load_class_table(wanted.classes)
    size, cache = wanted.image_size, wanted.cache
    train = open_source(wanted.train, size, table, cache=cache)
    wanted.check_classes(len(train.table))
    held_out = None
    if wanted.held_out is not None:
        held_out = open_source(wanted.held_out, size, table, cache=cache)
    model, base = _start(wanted)
    return SeemTask(model, train, held_out, wanted, base)


def _start(params: SeemTaskParams) -> tuple[Seem, dict[str, Json]]:
    """The model to start from, and what it is."""
    if params.base is not None:
        loaded = load_seem(params.base)
        if params.used_adapters is not None and loaded.entry.adapters is not None:
            raise InputError(
                f"{params.base} has adapters already, and strategy {params.strategy!r} would add "
                f"others: start from {loaded.entry.base or 'a model without adapters'}, or train "
                f"{params.base} with the strategy 'whole_head', 'lora' or 'everything'"
            )
        name, config = loaded.entry.name, loaded.entry.config
        return loaded.model, {"name": name, "config": config, "sha256": loaded.sha256}
    if params.network not in SEEM_CONFIGS:
        raise InputError(
            f"there is no SEEM network {params.network!r}; choose one of: {', '.join(SEEM_CONFIGS)}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(params.init_seed)
        model = Seem(SEEM_CONFIGS[params.network])
    sha256 = state_sha256(model.state_dict())
    return model, {"name": None, "config": params.network, "sha256": sha256}
