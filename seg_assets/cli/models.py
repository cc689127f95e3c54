"""`seg-assets models`: which weights there are, how they get here and out, names for your own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click
from tqdm import tqdm

from seg_assets.cli.click_models import click_models
from seg_assets.cli.export_models import export
from seg_assets.errors import CheckpointError
from seg_assets.modeling.download import download as download_weights
from seg_assets.modeling.download import verify as verify_weights
from seg_assets.modeling.fetch import Progress
from seg_assets.modeling.manifest import ModelEntry, entry, manifest, models_dir, weights_path
from seg_assets.modeling.partial_file import PARTIAL_SUFFIX


@click.group()
def models() -> None:
    """List, download, verify and export the weights, name your own, and click to test them."""


@models.command("list")
def list_models() -> None:
    """Print the models, one a line: name, what it is, size, licence, and whether it is here."""
    rows = [
        (found.name, found.title, _size(found), found.licence, _state(found))
        for found in manifest().values()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = zip(row, widths, strict=True)
        click.echo("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
    click.echo(f"\nDownloads are kept in {models_dir()}; SEG_MODELS_DIR names another folder.")


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--force", is_flag=True, help="Download anew what is here already.")
def download(names: tuple[str, ...], force: bool) -> None:
    """Download the weights of the models called NAME; a stopped download goes on where it was.

    What is here already is verified instead.
    """
    for wanted in [entry(name) for name in names]:
        with _progress_bar(wanted.name) as progress:
            path = download_weights(wanted, progress=progress, force=force)
        click.echo(f"{wanted.name}: {path}")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
def verify(names: tuple[str, ...]) -> None:
    """Hash the weights of the models called NAME, by default of all that are here.

    Each file is held against its published hash, or else against the record of its download.
    """
    wanted = [entry(name) for name in names] or [
        found for found in manifest().values() if weights_path(found).is_file()
    ]
    damaged = []
    for found in wanted:
        try:
            click.echo(f"{found.name}: right ({verify_weights(found)})")
        except CheckpointError as error:
            click.echo(f"{found.name}: {error}", err=True)
            damaged.append(found.name)
    if damaged:
        raise CheckpointError(f"{len(damaged)} of {len(wanted)} did not pass: {', '.join(damaged)}")


@models.command()
@click.argument("name", metavar="NAME")
@click.argument("run_dir", type=click.Path(path_type=Path), metavar="RUN_DIR")
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "last"]),
    help="Which weights of the run.  [default: the best, where it measured any]",
)
def add(name: str, run_dir: Path, checkpoint: Literal["best", "last"] | None) -> None:
    """Give the result of the training in RUN_DIR a NAME, in the manifest of SEG_MODELS_DIR.

    Weights and class table are copied there. A model of yours that has the name is replaced.
    """
    from seg_assets.cli.train_run import add_and_report  # noqa: PLC0415

    add_and_report(name, run_dir, checkpoint)


models.add_command(click_models)
models.add_command(export)


@contextmanager
def _progress_bar(name: str) -> Iterator[Progress]:
    """A bar on stderr, where that is a terminal."""
    with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1000, disable=None) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def _size(found: ModelEntry) -> str:
    path = weights_path(found)
    size = path.stat().st_size if path.is_file() else found.bytes
    if size is None:
        return "-"
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def _state(found: ModelEntry) -> str:
    path = weights_path(found)
    if not path.is_file():
        part = path.with_name(path.name + PARTIAL_SUFFIX)
        if part.is_file():
            return f"{part.stat().st_size / 1e6:,.0f} MB downloaded so far"
        return "not downloaded" if found.seed is None else f"random weights (seed {found.seed})"
    if found.bytes not in (None, path.stat().st_size):
        return "damaged: wrong size"
    return "here"
