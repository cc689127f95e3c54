"""`seg-assets train`: models learn from your data."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from seg_assets.cli.train_run import run_and_report, show_run, train_demo_models
from seg_assets.errors import InputError
from seg_assets.modeling.devices import DEVICES_VARIABLE
from seg_assets.training.recipe import SAM_TASKS, sam_preset_names, sam_recipe, seem_recipe
from seg_assets.training.seem.params import Strategy

_SAM_FORMATS = ("coco", "sa1b", "png", "voc", "scenes")
_SEEM_FORMATS = {"panoptic": "validation", "camvid": "val", "scenes": ""}
"""Formats, and the split that they usually keep for evaluation."""


@click.group()
def train() -> None:
    """Fine-tune a SAM or a SEEM on your data, or train the demo's models."""


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both fine-tunings are asked: where, under which name, on what, and all other values."""
    for add in reversed(
        [
            click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]..."),
            click.option(
                "--name",
                metavar="NAME",
                help="Name that the result gets, in the manifest of SEG_MODELS_DIR.",
            ),
            click.option(
                "--out",
                type=click.Path(path_type=Path),
                metavar="DIR",
                help="Folder of the run.  [default: runs/NAME]",
            ),
            click.option(
                "--processes",
                type=click.IntRange(min=1),
                default=1,
                show_default=True,
                metavar="N",
                help="Processes that train together, each on a device of its own.",
            ),
            click.option(
                "--device",
                envvar=DEVICES_VARIABLE,
                show_envvar=True,
                metavar="D",
                help="cpu, cuda:0 or, for several, cuda:0,cuda:1.  [default: CUDA, else cpu]",
            ),
            click.option(
                "--resume/--fresh",
                default=True,
                help="Go on with the run in DIR if it is the same training, or rename it and "
                "begin anew.  [default: resume]",
            ),
        ]
    ):
        command = add(command)
    return command


@train.command()
@click.option(
    "--data",
    required=True,
    metavar="PATH",
    help="Images with instance masks: COCO's .json file, a folder, or first:stop for scenes.",
)
@click.option(
    "--format",
    "data_format",
    type=click.Choice(_SAM_FORMATS),
    default="coco",
    show_default=True,
    help="What PATH is.",
)
@click.option(
    "--data-option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="More that the format's reader takes, as images=DIR. May be repeated.",
)
@click.option("--held-out", metavar="PATH", help="Images to evaluate on, in the same format.")
@click.option(
    "--held-out-option", "held_out_options", multiple=True, metavar="NAME=VALUE", help="For those."
)
@click.option(
    "--preset",
    type=click.Choice(sam_preset_names()),
    help="Published recipe.  [default: coco_box]",
)
@click.option(
    "--task",
    type=click.Choice(list(SAM_TASKS)),
    help="Instead of a preset: the task with its own defaults.",
)
@click.option(
    "--base", "--model", metavar="NAME", help="Model to start from.  [default: sam_vit_b]"
)
@_run_options
def sam(
    data: str,
    data_format: str,
    options: Sequence[str],
    held_out: str | None,
    held_out_options: Sequence[str],
    preset: str | None,
    task: str | None,
    base: str | None,
    overrides: Sequence[str],
    **run: Any,
) -> None:
    """Fine-tune a SAM by boxes or points.

    KEY=VALUE changes any other value of the recipe or of the loop: lr=1e-5 epochs=4 batch_size=2
    loss.dice_weight=2; docs/training.md lists them. A run that was stopped goes on when the same
    command is given again.
    """
    params: dict[str, Any] = {"train": _source(data, data_format, options, "--data-option")}
    if held_out is not None:
        params["held_out"] = _source(held_out, data_format, held_out_options, "--held-out-option")
    if base is not None:
        params["base"] = base
    start = {"evaluate_at_start": held_out is not None}
    recipe = sam_recipe(params, start, overrides, preset=preset, task=task)
    run_and_report(recipe, kind="sam", **run)


@train.command()
@click.option(
    "--data",
    required=True,
    metavar="PATH",
    help="A folder in the format's layout, or first:stop for generated scenes.",
)
@click.option(
    "--format",
    "data_format",
    type=click.Choice(list(_SEEM_FORMATS)),
    default="panoptic",
    show_default=True,
    help="What PATH is; `seg-assets data panoptic` makes such folders.",
)
@click.option("--split", default="train", show_default=True, help="Split to train on.")
@click.option(
    "--held-out",
    metavar="SPLIT",
    help="Split to evaluate on, first:stop for scenes, or none.  "
    "[default: validation; val for camvid; none for scenes]",
)
@click.option(
    "--strategy",
    type=click.Choice(get_args(Strategy)),
    default="adapter_head",
    show_default=True,
    help="What is trained; docs/training.md compares them.",
)
@click.option(
    "--base",
    "--model",
    metavar="NAME",
    default="seem_focall_v1",
    show_default=True,
    help="Model to start from, or none for random weights.",
)
@click.option("--classes", metavar="TABLE", help="Class table.  [default: the data's own]")
@_run_options
def seem(
    data: str,
    data_format: str,
    split: str,
    held_out: str | None,
    strategy: str,
    base: str,
    classes: str | None,
    overrides: Sequence[str],
    **run: Any,
) -> None:
    """Fine-tune a SEEM on segments, drawn prompts and texts.

    KEY=VALUE changes any other value of the recipe or of the loop: lr=1e-4 epochs=10
    image_size=640 adapters.geometry=upstream; docs/training.md lists them. A run that was stopped
    goes on when the same command is given again.
    """
    wanted = held_out or _SEEM_FORMATS[data_format] or "none"
    params: dict[str, Any] = {
        "train": _seem_data(data_format, data, split),
        "strategy": strategy,
        "base": None if base == "none" else base,
        "classes": classes,
    }
    if wanted != "none":
        scenes = data_format == "scenes"
        params["held_out"] = _seem_data(data_format, wanted if scenes else data, wanted)
    start = {"evaluate_at_start": wanted != "none"}
    run_and_report(seem_recipe(params, start, overrides), kind="seem", **run)


@train.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/demo"),
    show_default=True,
    metavar="DIR",
    help="For scenes and runs.",
)
@click.option("--only", type=click.Choice(["sam", "seem"]), help="Train one of the two.")
@click.option(
    "--length",
    type=click.FloatRange(min=0, min_open=True, max=10),
    default=1.0,
    show_default=True,
    metavar="FACTOR",
    help="Factor on the number of steps: 0.01 for a quick trial.",
)
def demo(out: Path, only: str | None, length: float) -> None:
    """Train the two small models of the demo from random weights, on generated scenes.

    Hours on a CPU; a run that was stopped goes on when the same command is given again.
    """
    train_demo_models(out, only, length)


@train.command()
@click.argument("run_dir", type=click.Path(path_type=Path), metavar="RUN_DIR")
def show(run_dir: Path) -> None:
    """Say how the run in RUN_DIR goes, and draw its curves into RUN_DIR/curves.png."""
    show_run(run_dir)


def _source(path: str, data_format: str, options: Sequence[str], option: str) -> dict[str, Any]:
    return {"format": data_format, "path": path, "options": _named_values(options, option)}


def _named_values(settings: Sequence[str], option: str) -> dict[str, Any]:
    """NAME=VALUE pairs; a value is read as JSON where it is some (numbers, true, lists)."""
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"{option} {setting}: write it as NAME=VALUE")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def _seem_data(data_format: str, path: str, split: str) -> dict[str, Any]:
    if data_format != "scenes":
        return {"kind": data_format, "folder": path, "split": split}
    first, colon, stop = path.partition(":")
    if not (colon and first.isdecimal() and stop.isdecimal() and int(first) < int(stop)):
        raise InputError(f"{path!r} is no range of scenes: write first:stop, as in 1000000:1000200")
    return {"kind": "scenes", "first_seed": int(first), "count": int(stop) - int(first)}
