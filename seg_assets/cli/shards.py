"""`seg-assets shards`: image collections become shards, and shards become Dagster's partitions."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from seg_assets.cli.options import store_option
from seg_assets.data.ground_truth.coverage import cover
from seg_assets.data.ground_truth.open import FORMATS as LABEL_FORMATS
from seg_assets.data.ground_truth.open import open_ground_truth
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.shards import (
    Shard,
    list_shards,
    load_shard,
    register_shards,
    remove_shard,
)
from seg_assets.data.sources import FORMATS, find_shards
from seg_assets.errors import InputError
from seg_assets.storage.schema import SCHEMAS
from seg_assets.storage.store import Store

# The name of the dynamic partitions in `seg_assets.defs.partitions`.
PARTITIONS = "shards"

RESULTS = [asset for asset in SCHEMAS if asset not in ("shards", "errors")]


@click.group()
def shards() -> None:
    """Cut image collections into shards, which are the partitions of the Dagster assets."""


@shards.command()
@click.argument("source")
@click.option(
    "--format",
    "source_format",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="What SOURCE is; auto looks.",
)
@click.option(
    "--shard-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Images in a shard at most.  [default: 256; one shard per SA-1B tar file]",
)
@click.option(
    "--prefix", metavar="P", help="How the shards' names begin.  [default: SOURCE's name]"
)
@click.option("--labels", metavar="TRUTH", help="Ground truth: a folder or a COCO JSON file.")
@click.option(
    "--label-format",
    metavar="F",
    help="How TRUTH is written: png:TABLE (PNGs of a class table's ids, named like the images), "
    f"{', '.join(name for name in LABEL_FORMATS if name not in ('auto', 'png'))}.  "
    "[default: auto, which looks]",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N images.")
@click.option("--replace", is_flag=True, help="Let shards take the place of others of their name.")
@store_option
def add(
    source: str,
    source_format: str,
    shard_size: int | None,
    prefix: str | None,
    labels: str | None,
    label_format: str | None,
    limit: int | None,
    replace: bool,
    store_url: str,
) -> None:
    """Cut SOURCE into shards and register them.

    SOURCE is a folder of images, an s3:// prefix, a tar file of SA-1B or a folder of them, or
    CamVid's folder. Images are neither copied nor unpacked. The same source gives the same shards
    each time; adding them again changes nothing.
    """
    add_partitions = _partitions("add_dynamic_partitions")
    truth = _truth(labels, label_format)
    found = find_shards(
        source,
        format=source_format,
        shard_size=shard_size,
        prefix=prefix,
        truth=truth,
        limit=limit,
    )
    store = Store(store_url)
    written = register_shards(store, found, replace=replace)
    names = [shard.name for shard in found]
    images = sum(len(shard.images) for shard in found)
    click.echo(
        f"{images} images in {_count(names)}, {len(written)} of them new or changed, "
        f"registered in {store.root}: {_span(names)}"
    )
    if truth is not None:
        _tell_coverage(truth, found, limited=limit is not None)
    numbered = {name[:-5] for name in names if re.fullmatch(r".+_\d{4}", name)}
    others = [name for name in list_shards(store) if name not in names and name[:-5] in numbered]
    if replace and others:
        click.echo(
            f"{_count(others)} of the same prefix, {_span(others)}, are still there from before: "
            "`seg-assets shards remove` them unless they hold other images.",
            err=True,
        )
    if add_partitions is None:
        click.echo(
            "DAGSTER_HOME is not set, so Dagster does not know them yet: set it to Dagster's "
            "folder and run the same command again.",
            err=True,
        )
        return
    add_partitions(names)
    click.echo(f"Dagster knows them as partitions '{PARTITIONS}'.")


def _truth(labels: str | None, label_format: str | None) -> GroundTruth | None:
    if labels is None:
        if label_format is not None:
            raise InputError("--label-format says how labels are written: give --labels too")
        return None
    return open_ground_truth(labels, label_format or "auto")


def _tell_coverage(truth: GroundTruth, found: Sequence[Shard], *, limited: bool) -> None:
    """Say which images have ground truth, and which of it belongs to no image."""
    ids = [image.image_id for shard in found for image in shard.images]
    coverage = cover(truth, ids)
    without = len(coverage.images_without_truth)
    click.echo(
        f"{coverage.images - without} of {coverage.images} images have ground truth "
        f"({truth.label_format}, classes {truth.table.name}) in {truth.source}"
    )
    if without:
        example = coverage.images_without_truth[0]
        click.echo(f"{without} images without ground truth, {example} first", err=True)
    # with a limit the rest is meant to be without
    if coverage.truth_without_image and not limited:
        example = coverage.truth_without_image[0]
        count = len(coverage.truth_without_image)
        click.echo(f"ground truth of {count} images that are not there, {example} first", err=True)


@shards.command("list")
@store_option
def list_registered(store_url: str) -> None:
    """Print the registered shards, one a line: name, images, ground truth, finished results."""
    store = Store(store_url)
    names = list_shards(store)
    if not names:
        click.echo(f"No shards are registered in {store.root}; `seg-assets shards add` does it.")
        return
    finished = {asset: set(store.shards(asset)) for asset in RESULTS}
    for name in names:
        shard = load_shard(store, name)
        done = [asset for asset in RESULTS if name in finished[asset]]
        click.echo(
            f"{name}\t{len(shard.images)} images\t{shard.label_format or 'no labels'}\t"
            f"{', '.join(done) or 'nothing done yet'}"
        )


@shards.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--results", is_flag=True, help="Delete what was computed for them as well.")
@store_option
def remove(names: tuple[str, ...], results: bool, store_url: str) -> None:
    """Forget the shards called NAME. Images are never touched; results stay unless asked for."""
    delete_partition = _partitions("delete_dynamic_partition")
    store = Store(store_url)
    for name in names:
        load_shard(store, name)  # all of them are known, before any is removed
    for name in names:
        if delete_partition is not None:
            delete_partition(name)
        if results:
            for asset in RESULTS:
                store.delete(asset, name)
        remove_shard(store, name)
    click.echo(f"removed {_count(names)} from {store.root}: {_span(names)}")
    if delete_partition is None:
        click.echo(
            "DAGSTER_HOME is not set, so Dagster's partitions of these names are still there: set "
            "it, then add and remove them again.",
            err=True,
        )


def _partitions(method: str) -> Callable[[object], None] | None:
    """The method of the Dagster instance, for our partitions; None where there is no instance."""
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return None
    if not Path(home).is_absolute() or not Path(home).is_dir():
        raise InputError(
            f"DAGSTER_HOME is {home}: it must be the absolute path of a folder that is there"
        )
    import dagster as dg  # noqa: PLC0415  # two seconds, for those who have an instance only

    instance = dg.DagsterInstance.get()
    return lambda names: getattr(instance, method)(PARTITIONS, names)


def _count(names: tuple[str, ...] | list[str]) -> str:
    return "1 shard" if len(names) == 1 else f"{len(names)} shards"


def _span(names: tuple[str, ...] | list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
