"""What `seg-assets train` does once it knows what is asked for: run, report, name, show."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seg_assets.errors import InputError
from seg_assets.modeling.devices import parse_devices
from seg_assets.modeling.own_models import check_own_name
from seg_assets.training.launch import run_job
from seg_assets.training.placement import first_devices
from seg_assets.training.recipe import Recipe

if TYPE_CHECKING:
    from seg_assets.training.record import RunRecord
    from seg_assets.training.registration import Registered

_RUNS = Path("runs")
_CURVES = "curves.png"


def run_and_report(
    recipe: Recipe,
    *,
    kind: str,
    name: str | None,
    out: Path | None,
    processes: int,
    device: str | None,
    resume: bool,
) -> None:
    """Train in processes of their own, say how it went, and give the result its name.

    Raises:
        SegAssetsError: what the training has raised, or what keeps it from starting.
    """
    if out is None and name is None:
        raise InputError("say where the run shall lie: --out DIR, or --name NAME for runs/NAME")
    if name is not None:
        check_own_name(name)
    run_dir = out if out is not None else _RUNS / str(name)
    cpu_only = recipe.config.device == "cpu"
    placement = first_devices(parse_devices(device or ""), processes, cpu_only=cpu_only)

    from seg_assets.training.record import read_run  # noqa: PLC0415  # torch
    from seg_assets.training.set_aside import set_aside  # noqa: PLC0415

    if not resume and (old := set_aside(run_dir)):
        click.echo(f"the run that was in {run_dir} is now {old}")
    run_job(placement.placed(recipe).job(run_dir), processes, placement.environment())
    run = read_run(run_dir)
    click.echo(_state(run))
    _write_curves(run, run_dir)
    click.echo(f"the run is in {run_dir}; {run_dir / _CURVES} shows how it went")
    if name is not None:
        add_and_report(name, run_dir, None)
    else:
        click.echo(f"`seg-assets models add NAME {run_dir}` gives the {kind} a name")


def add_and_report(name: str, run_dir: Path, checkpoint: Any) -> None:
    """Give the weights of a run a name, and say how to use it."""
    from seg_assets.training.registration import register_run  # noqa: PLC0415  # torch

    registered = register_run(name, run_dir, checkpoint)
    click.echo(_usage(registered))


def show_run(run_dir: Path) -> None:
    """Say how a run goes and draw its curves."""
    from seg_assets.training.record import read_run  # noqa: PLC0415  # torch

    run = read_run(run_dir)
    about = run.config["description"]
    said = {
        "task": run.config["task"],
        "strategy": about.get("strategy"),
        "trained": _trained(run),
        "samples": run.config["samples"],
        "processes": run.config["processes"],
        "seconds": round(run.seconds, 1),
        "images/s": None if run.images_per_second is None else round(run.images_per_second, 3),
    }
    for key, value in said.items():
        if value is not None:
            click.echo(f"{key:<12}{value}")
    click.echo(_state(run))
    for line in _metrics(run):
        click.echo(line)
    _write_curves(run, run_dir)
    click.echo(f"curves: {run_dir / _CURVES}")


def train_demo_models(out: Path, only: str | None, length: float) -> None:
    """Train the demo's models here, in this process."""
    from seg_assets.training.demo.recipes import train_demo  # noqa: PLC0415  # torch

    models = train_demo(out, models=("seem", "sam") if only is None else (only,), length=length)
    for name, model in models.items():
        result, file = model.result, model.file
        best = "" if result.best is None else f", best {result.best:.3f} at {result.best_step}"
        click.echo(f"{name}: {result.step} steps in {result.seconds:.0f} s{best}; {result.run_dir}")
        click.echo(f"  {file.path}: {file.bytes:,} bytes, sha256 {file.sha256}")


def _state(run: "RunRecord") -> str:
    """One line: how far, and how well."""
    told = f"{run.config['task']}: saved at step {run.step} of {run.steps}"
    if run.last is None:
        return f"{run.config['task']}: nothing has been saved yet, of {run.steps} steps"
    best = (run.best or {}).get("metrics", {}).get(run.metric)
    if run.best is None or best is None:
        return told
    start = (run.at_start or {}).get(run.metric or "")
    before = "" if start is None else f", from {start:.4f} at the start"
    return f"{told}; best {run.metric} {best:.4f} at step {run.best['step']}{before}"


def _metrics(run: "RunRecord") -> list[str]:
    from seg_assets.training.record import overall  # noqa: PLC0415  # torch

    columns: Mapping[str, Mapping[str, float]] = {
        "start": overall(run.at_start or {}),
        "best": overall((run.best or {}).get("metrics", {})),
        "last": overall(run.latest or {}),
    }
    names = list(dict.fromkeys(name for found in columns.values() for name in found))
    if not names:
        return []
    width = max(len("metric"), *map(len, names)) + 2
    lines = [f"{'metric':<{width}}" + "".join(f"{column:>10}" for column in columns)]
    for name in names:
        values = [found.get(name) for found in columns.values()]
        cells = ["-" if value is None else f"{value:.4f}" for value in values]
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return lines


def _trained(run: "RunRecord") -> str | None:
    counted = run.config.get("trained")
    if counted is None:  # a run of an earlier version
        return None
    return f"{counted['parameters']:,} parameters in {counted['tensors']} tensors"


def _usage(registered: "Registered") -> str:
    model = registered.model
    variable = f"SEG_{model.kind.upper()}_MODEL"
    unchanged = "" if registered.step else ", so it is what training began with: none was better"
    return (
        f"{model.name} is the {registered.checkpoint} of the run, after {registered.step} steps"
        f"{unchanged} (sha256 {model.sha256}); use it with `seg-assets label SOURCE --out DIR "
        f"--{model.kind} {model.name}`, or in Dagster with {variable}={model.name}"
    )


def _write_curves(run: "RunRecord", run_dir: Path) -> None:
    from seg_assets.storage.local_files import LocalFiles  # noqa: PLC0415
    from seg_assets.viz.curves import draw_curves  # noqa: PLC0415  # matplotlib

    title = f"{run.config['task']} in {run_dir.name}"
    picture = draw_curves(run.curves, title=title, metric=run.metric)
    LocalFiles(str(run_dir)).write(_CURVES, picture)
