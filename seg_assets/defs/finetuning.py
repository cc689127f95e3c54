"""A training as a step of Dagster: in processes of its own, on leased devices, under a name."""

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError

from seg_assets.defs import previews
from seg_assets.defs.metadata import Metadata
from seg_assets.defs.params_schema import choices, params_schema
from seg_assets.defs.resources import DevicesResource
from seg_assets.errors import InputError
from seg_assets.modeling.own_models import check_own_name
from seg_assets.storage.store import Store
from seg_assets.training.config import TrainConfig
from seg_assets.training.launch import TrainJob, prepared
from seg_assets.training.recipe import Recipe

if TYPE_CHECKING:
    from seg_assets.training.record import RunRecord
    from seg_assets.training.registration import Registered

RUNS = "training_runs"
STOP_SECONDS = 120.0  # a step of a large network may take that long
_IOU = "IoU-"  # begins the names of a class's own metric
WARN = dg.AssetCheckSeverity.WARN

RUN_FIELDS: Mapping[str, dg.Field] = {
    "name": dg.Field(
        str,
        description="Name that the model gets: SEG_SAM_MODEL or SEG_SEEM_MODEL=name uses it, and "
        "so does `seg-assets label`. A model of yours that has it already is replaced.",
    ),
    "run_dir": dg.Field(
        str,
        default_value="",
        description=f"Folder of the run on this machine. Empty: {RUNS}/<name> in the store. A run "
        "that is there goes on if it is the same training.",
    ),
    "fresh": dg.Field(
        bool,
        default_value=False,
        description="Begin anew: a run that is in the folder is renamed to <folder>.old-1.",
    ),
    "processes": dg.Field(
        int,
        default_value=1,
        description="Processes that train together, each on a device of its own.",
    ),
    "checkpoint": dg.Field(
        choices("Checkpoint", ("best", "last")),
        is_required=False,
        description="Weights that get the name. Default: the best on held-out data, where there "
        "is any; else the last.",
    ),
    "training": dg.Field(
        params_schema(TrainConfig, {"evaluate_at_start": "Here: true."}),
        default_value={},
        description="How long, how fast and how exactly. What is not given comes from the recipe.",
    ),
}
"""Run config that fine-tuning has, whatever is fine-tuned."""


def training_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The loop's part of a run config; the start is measured unless that is unwanted."""
    return {"evaluate_at_start": True, **config["training"]}


def finetune(
    context: dg.AssetExecutionContext,
    recipe: Recipe,
    config: Mapping[str, Any],
    store: Store,
    devices: DevicesResource,
    check: str,
) -> dg.MaterializeResult:
    """Train, give the weights their name, and tell Dagster.

    An interrupted run is stopped and keeps its last save; materialising again goes on from there.

    Args:
        context: of the step.
        recipe: what is trained.
        config: the values of `RUN_FIELDS`.
        store: where the run's folder lies by default.
        devices: to lease from.
        check: name of the check that training was worth it.

    Raises:
        SegAssetsError: what the training has raised, or what keeps it from starting.
    """
    # these bring torch, which loading the definitions must not
    from seg_assets.training.record import read_run  # noqa: PLC0415
    from seg_assets.training.registration import register_run  # noqa: PLC0415
    from seg_assets.training.set_aside import set_aside  # noqa: PLC0415

    name, processes = config["name"], config["processes"]
    check_own_name(name)
    run_dir = _run_dir(store, name, config["run_dir"])
    if config["fresh"] and (old := set_aside(run_dir)):
        context.log.info(f"the run that was in {run_dir} is now {old}")
    cpu_only = recipe.config.device == "cpu"
    with devices.lease_for_training(processes, cpu_only=cpu_only) as placement:
        job = placement.placed(recipe).job(run_dir)
        _train(context, job, processes, placement.environment())
    registered = register_run(name, run_dir, config.get("checkpoint"))
    run = read_run(run_dir)
    return dg.MaterializeResult(
        metadata={
            **run_metadata(registered, run),
            "run_folder": dg.MetadataValue.path(str(run_dir)),
            "devices": ", ".join(placement.devices),
        },
        data_version=dg.DataVersion(str(registered.model.sha256)),
        check_results=[_improvement(check, run)],
    )


def run_metadata(registered: "Registered", run: "RunRecord") -> Metadata:
    """What was trained, how well it does, and the curves."""
    from seg_assets.training.record import overall  # noqa: PLC0415
    from seg_assets.viz.curves import draw_curves  # noqa: PLC0415  # matplotlib

    model, table = registered.model, registered.table
    about = run.config["description"]
    rate = run.images_per_second
    metadata: Metadata = {
        "name": model.name,
        "title": model.title,
        "curves": previews.inline(
            draw_curves(run.curves, title=model.name, metric=run.metric), "png"
        ),
        "weights_sha256": model.sha256,
        "bytes": model.bytes,
        "checkpoint": registered.checkpoint,
        "checkpoint_step": registered.step,
        "steps": run.step,
        "strategy": about.get("strategy") or about.get("recipe") or run.config["task"],
        "base": model.base or _base_name(about),
        "trained_tensors": run.config.get("trained", {}).get("tensors", 0),
        "trained_parameters": run.config.get("trained", {}).get("parameters", 0),
        "training_samples": run.config["samples"],
        "processes": run.config["processes"],
        "seconds": round(run.seconds, 1),
        "parameters": dg.MetadataValue.json(about.get("params", {})),
        "training": dg.MetadataValue.json(run.config["config"]),
    }
    if rate is not None:
        metadata["images_per_second"] = round(rate, 3)
    if table is not None:
        metadata["classes"] = table.name
        lines = ["| id | name | |", "| --- | --- | --- |"]
        for item in table.classes:
            kind = {True: "thing", False: "stuff", None: ""}[item.is_thing]
            lines.append(f"| {item.id} | {item.name} | {kind} |")
        metadata["class_table"] = dg.MetadataValue.md("\n".join(lines))
    for key, value in overall(registered.metrics).items():
        metadata[key] = round(value, 4)  # of the weights that have the name: Dagster plots these
    return metadata | _metrics_tables(run)


def _train(
    context: dg.AssetExecutionContext, job: TrainJob, processes: int, environment: dict[str, str]
) -> None:
    """Run the training through Dagster Pipes, which brings its rows into the run's log."""
    client = dg.PipesSubprocessClient(termination_timeout_seconds=STOP_SECONDS)
    with prepared(job, processes) as launch:
        with warnings.catch_warnings(), suppress(DagsterPipesExecutionError):
            warnings.simplefilter("ignore", dg.PreviewWarning)  # of Dagster about its own parts
            client.run(
                context=context.op_execution_context,
                command=launch.command,
                env={**launch.environment, **environment},
            )
        launch.outcome()  # which has the training's own words, where it has failed


def _run_dir(store: Store, name: str, wanted: str) -> Path:
    if wanted:
        return Path(wanted).absolute()
    if not store.is_local:
        raise InputError(
            f"the store {store.location()} is not on this machine: give the training a run_dir"
        )
    return Path(store.location(f"{RUNS}/{name}")).absolute()


def _improvement(check: str, run: "RunRecord") -> dg.AssetCheckResult:
    """Whether the best weights do better on held-out data than those that training began with."""
    start = (run.at_start or {}).get(run.metric or "")
    best = (run.best or {}).get("metrics", {}).get(run.metric)
    if start is None or best is None:
        return dg.AssetCheckResult(
            check_name=check,
            passed=False,
            severity=WARN,
            description="Nothing was measured at the start and later: give held-out data and "
            "leave evaluate_at_start on.",
        )
    return dg.AssetCheckResult(
        check_name=check,
        passed=best > start,
        severity=WARN,
        metadata={"metric": run.metric or "", "at_start": start, "best": best},
    )


def _metrics_tables(run: "RunRecord") -> Metadata:
    """Metrics at the start, of the best weights and of the last ones; IoU of each class apart."""
    from seg_assets.training.record import overall  # noqa: PLC0415

    columns: dict[str, Mapping[str, float]] = {
        "start": run.at_start or {},
        "best": (run.best or {}).get("metrics", {}),
        "last": run.latest or {},
    }
    tables = {"metrics": _table({name: overall(found) for name, found in columns.items()})}
    per_class = {
        name: {k.removeprefix(_IOU): v for k, v in found.items() if k.startswith(_IOU)}
        for name, found in columns.items()
    }
    tables["iou_per_class"] = _table(per_class)
    return {name: dg.MetadataValue.md(table) for name, table in tables.items() if table}


def _table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """A row per metric, in Markdown; "" without any."""
    names = list(dict.fromkeys(name for found in columns.values() for name in found))
    if not names:
        return ""
    lines = [f"| metric | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    for name in names:
        values = [found.get(name) for found in columns.values()]
        cells = ["-" if value is None else f"{value:.4f}" for value in values]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _base_name(about: Mapping[str, Any]) -> str:
    base = about.get("base")
    name = base.get("name") if isinstance(base, Mapping) else base
    return name or "random weights"
