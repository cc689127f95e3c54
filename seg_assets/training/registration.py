"""A finished training becomes a model that is asked for by name, like those of the project."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from safetensors.torch import load_file

from seg_assets.classes.record import read_table_record
from seg_assets.classes.table import ClassTable
from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.manifest import ModelEntry, entry, manifest, missing_weights, weights_path
from seg_assets.modeling.own_models import add_own_model, check_own_name
from seg_assets.modeling.pixels import PIXEL_MEAN, PIXEL_STD
from seg_assets.modeling.sam import SAM_CONFIGS
from seg_assets.modeling.seem.adapter_config import AdapterConfig
from seg_assets.modeling.seem.config import SEEM_CONFIGS
from seg_assets.modeling.weights_file import sha256_of
from seg_assets.training.run_folder import RunFolder, write_tensors

Checkpoint = Literal["best", "last"]

NO_LICENCE = "NOASSERTION"
"""SPDX's word for weights of which nobody has said under which licence they may be used."""

_Said = Mapping[str, Any]  # what a checkpoint's .json says


@dataclass(frozen=True)
class Registered:
    """A model that has just been named.

    Attributes:
        model: Its entry in the manifest.
        checkpoint: Which weights of the run it has.
        step: After how many optimizer steps.
        metrics: Of these weights; empty where they were not measured.
        table: Classes of a SEEM; None for a SAM.
    """

    model: ModelEntry
    checkpoint: Checkpoint
    step: int
    metrics: dict[str, float]
    table: ClassTable | None


def register_run(
    name: str, run_dir: str | Path, checkpoint: Checkpoint | None = None
) -> Registered:
    """Give the result of a training a name in the manifest of `SEG_MODELS_DIR`.

    A file that holds only what training has changed lies on the base that the training started
    from. Where that base lies on another one itself, the two files are put together.

    Args:
        name: How it shall be called; a model of yours of this name is replaced.
        run_dir: Folder of the run; it is not needed any more afterwards.
        checkpoint: Which weights; None for the best where there are any, else the last.

    Raises:
        InputError: The name cannot be taken, the folder has no such weights, or they are not of a
            SAM or SEEM.
        CheckpointError: The base is not what the run started from.
        StoreError: A folder cannot be read or written.
    """
    check_own_name(name)
    folder = RunFolder(run_dir)
    chosen, said = _chosen(folder, checkpoint)
    about = said["description"]
    kind = about.get("kind")
    if kind not in ("sam", "seem"):
        raise InputError(
            f"the run {run_dir} has trained {said['task']}, which is neither a SAM nor a SEEM: "
            "only those can be asked for by name"
        )
    model = (_sam_entry if kind == "sam" else _seem_entry)(name, _title(said), about)
    weights = folder.path / f"{chosen}.safetensors"
    record = about["classes"]["table"] if kind == "seem" else None
    table = None if record is None else read_table_record(record)
    own_table = None if isinstance(record, str) else table
    if isinstance(record, str):
        model = replace(model, classes=record)
    base = None if model.base is None else entry(model.base, kind=kind)
    if base is None or base.base is None:
        add_own_model(model, weights, own_table)
    else:
        with TemporaryDirectory(prefix="seg_assets-weights-") as scratch:
            joined = _join(base, model, weights, Path(scratch))
            model = replace(model, base=base.base, base_sha256=base.base_sha256)
            add_own_model(model, joined, own_table)
    metrics = {key: value for key, value in said["metrics"].items() if value is not None}
    return Registered(entry(name), chosen, said["step"], metrics, table)


def _chosen(folder: RunFolder, checkpoint: Checkpoint | None) -> tuple[Checkpoint, _Said]:
    wanted: tuple[Checkpoint, ...] = ("best", "last") if checkpoint is None else (checkpoint,)
    for name in wanted:
        if (said := folder.weights_description(name)) is not None:
            return name, said
    raise InputError(
        f"{folder.path} has no {' or '.join(f'{name}.safetensors' for name in wanted)}: give the "
        "folder of a run that has saved one"
    )


def _title(said: _Said) -> str:
    """What it is, in a few words: "seem, adapter_head, from seem_demo: mIoU 0.812"."""
    about = said["description"]
    base = about.get("base")
    base = base.get("name") if isinstance(base, Mapping) else base
    words = [said["task"], about.get("strategy"), base and f"from {base}"]
    score = said["metrics"].get(said["metric"])
    told = "" if score is None else f": {said['metric']} {score:.3f}"
    return ", ".join(word for word in words if word) + told


def _sam_entry(name: str, title: str, about: _Said) -> ModelEntry:
    if about["config"] not in SAM_CONFIGS:
        raise InputError(
            f"the run's SAM has the configuration '{about['config']}', which this version does "
            f"not know; it knows {', '.join(SAM_CONFIGS)}"
        )
    pixels = about.get("normalisation") or {"mean": PIXEL_MEAN, "std": PIXEL_STD}
    partial = about.get("params", {}).get("save") == "trained"
    return ModelEntry(
        name=name,
        title=title,
        kind="sam",
        config=about["config"],
        licence=about.get("licence", NO_LICENCE),
        input_size=SAM_CONFIGS[about["config"]].image_size,
        input_side="long",
        mean=_three(pixels["mean"]),
        std=_three(pixels["std"]),
        base=about["base"] if partial else None,
        base_sha256=about["base_sha256"] if partial else None,
    )


def _seem_entry(name: str, title: str, about: _Said) -> ModelEntry:
    base = about["base"]
    base_name = base.get("name")
    start = manifest().get(base_name or "")
    partial = not about["whole"]
    if partial and start is None:
        raise InputError(
            f"the run has saved {about['strategy']} weights only, and its base "
            f"{base_name or '(random weights)'} is no model of the manifest: put that back, or "
            "train with a strategy that saves everything"
        )
    # adapters that the base brought along are in the weights, and needed, as well
    adapters = about["adapters"] or (start and start.adapters)
    return ModelEntry(
        name=name,
        title=title,
        kind="seem",
        config=base.get("config") or _seem_config(about["network"]),
        licence=start.licence if start else NO_LICENCE,
        input_size=start.input_size if start else about["params"]["image_size"],
        input_side=start.input_side if start else "short",
        mean=_three(about["mean"]),
        std=_three(about["std"]),
        base=base_name if partial else None,
        base_sha256=base["sha256"] if partial else None,
        adapters=AdapterConfig.model_validate(adapters) if adapters else None,
    )


def _seem_config(network: _Said) -> str:
    """The name of a configuration that has these sizes."""
    for name, config in SEEM_CONFIGS.items():
        if json.loads(json.dumps(asdict(config))) == network:
            return name
    raise InputError(
        "the run's SEEM has sizes of its own, which no configuration of this version has, so it "
        "cannot be asked for by name"
    )


def _join(base: ModelEntry, model: ModelEntry, weights: Path, scratch: Path) -> Path:
    """One file of what `base` changes in its own base, and what training has changed in `base`."""
    below = weights_path(base)
    if not below.is_file():
        raise missing_weights(base)
    # as `load_model` names the weights of an entry with a base
    found = hashlib.sha256(f"{base.base_sha256} {sha256_of(below)}".encode()).hexdigest()
    if base.base_sha256 is not None and model.base_sha256 != found:
        raise CheckpointError(
            f"the run was started from other weights of {base.name} (sha256 {model.base_sha256}) "
            f"than are there now ({found}): put those back, or train it again"
        )
    joined = scratch / "joined.safetensors"
    write_tensors(joined, {**load_file(below), **load_file(weights)}, {})
    return joined


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = values
    return first, second, third
