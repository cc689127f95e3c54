"""`seg-assets export`: finished shards as files that other programs read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import click
from tqdm import tqdm

from seg_assets.cli.options import store_option
from seg_assets.errors import ImageError, InputError
from seg_assets.exports.request import ExportRequest, ExportSummary, Maps, Pictures
from seg_assets.storage.store import Store

FORMATS = (
    "sa1b",
    "coco_instances",
    "coco_panoptic",
    "semantic_png",
    "cvat",
    "label_studio",
    "hugging_face",
)
"""Each is written by `export_<name>` in `seg_assets.exports.<name>`."""

_FORMATS_WITH_THINGS = ("coco_instances", "coco_panoptic", "cvat")

ALL = "all"


@dataclass(frozen=True)
class _Own:
    """An option that only one format has."""

    format: str
    option: str


_OWN_OPTIONS: Mapping[str, _Own] = MappingProxyType(
    {
        "masks": _Own("coco_instances", "--masks"),
        "stuff": _Own("coco_instances", "--stuff"),
        "image_prefix": _Own("label_studio", "--image-prefix"),
    }
)


@click.command()
@click.argument("form", metavar="FORMAT", type=click.Choice(FORMATS))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="For the files."
)
@click.option(
    "--shards",
    default=ALL,
    show_default=True,
    metavar="A,B",
    help="Names of shards, with commas between them; or all that are finished.",
)
@click.option(
    "--maps",
    type=click.Choice(get_args(Maps)),
    help="Whose classes: of the semantic or the merged maps, of SEEM without the masks, or those "
    "that SSA gave the masks.  [default: semantic]",
)
@click.option(
    "--things",
    metavar="A,B",
    help="coco_instances, coco_panoptic, cvat: classes whose objects are told apart.  "
    "[default: those of the class table, else those of which most COCO classes are things]",
)
@click.option(
    "--images",
    type=click.Choice(get_args(Pictures)),
    help="Whether the images are written too.  [default: none; hugging_face: copy]",
)
@click.option(
    "--masks",
    type=click.Choice(["regions", "whole"]),
    help="coco_instances: what shows of the masks, or the masks themselves, which overlap.  "
    "[default: regions]",
)
@click.option("--stuff", is_flag=True, default=None, help="coco_instances: stuff too.")
@click.option(
    "--image-prefix",
    metavar="URL",
    help="label_studio: what stands before the images' file names.  "
    "[default: local files of DIR, /data/local-files/?d=images/]",
)
@click.option("--overwrite", is_flag=True, help="Replace DIR, if an export has made it.")
@store_option
def export(
    form: str,
    out: Path,
    shards: str,
    maps: Maps | None,
    things: str | None,
    images: Pictures | None,
    overwrite: bool,
    store_url: str,
    **own: Any,
) -> None:
    """Write finished shards as FORMAT into the new folder DIR.

    \b
    sa1b            a JSON per image in SA-1B's fields, with names where there are some
    coco_instances  one JSON with the objects
    coco_panoptic   PNGs of segment ids and one JSON
    semantic_png    indexed PNGs and the list of classes
    cvat            a zip per shard, "Segmentation mask 1.1"
    label_studio    tasks with brushes and scores
    hugging_face    Parquet files for datasets.load_dataset

    DIR appears when it is whole. Images without results are left out and named in DIR/errors.csv.
    docs/exports.md describes the formats.
    """  # noqa: D301
    given = {name: value for name, value in own.items() if value is not None}
    for name in given:
        if _OWN_OPTIONS[name].format != form:
            raise InputError(
                f"{_OWN_OPTIONS[name].option} is an option of {_OWN_OPTIONS[name].format}: leave "
                f"it out for {form}"
            )
    if things is not None and form not in _FORMATS_WITH_THINGS:
        raise InputError(
            f"--things is an option of {', '.join(_FORMATS_WITH_THINGS)}, which tell objects "
            f"apart: leave it out for {form}"
        )
    request = ExportRequest(
        store=Store(store_url),
        out=out,
        shards=() if shards == ALL else _names(shards, "--shards"),
        maps=maps,
        things=None if things is None else _names(things, "--things"),
        pictures=images,
        overwrite=overwrite,
    )
    with tqdm(unit="image", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        summary = _export_function(form)(replace(request, progress=show), **given)
    _tell(summary)


def _names(text: str, option: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise InputError(f"{option} {text!r} holds an empty name: write names with commas between")
    return names


def _export_function(form: str) -> Any:
    return getattr(import_module(f"seg_assets.exports.{form}"), f"export_{form}")


def _tell(summary: ExportSummary) -> None:
    classes = f"in the classes {summary.classes}" if summary.classes else "without names"
    objects = f", {summary.objects} annotations" if summary.objects else ""
    shards = len(summary.shards)
    click.echo(
        f"{summary.format}: {summary.images} images of {shards} "
        f"{'shard' if shards == 1 else 'shards'} {classes}{objects}; look in {summary.out}"
    )
    errors = summary.out / "errors.csv"
    if summary.missing:
        click.echo(f"{summary.missing} images have no results: {errors} says why", err=True)
    if summary.failed:
        raise ImageError(f"{summary.failed} images could not be exported: {errors} says why")
