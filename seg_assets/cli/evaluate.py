"""`seg-assets evaluate`: label maps from anywhere against ground truth, without Dagster."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from seg_assets.errors import ImageError, InputError

if TYPE_CHECKING:
    import numpy as np

    from seg_assets.evaluation.page import Cell
    from seg_assets.evaluation.sources import SourceComparison
    from seg_assets.evaluation.tally import RatedImage, Tally

REASONS = ("unreadable truth", "unreadable prediction", "unknown ids", "other size")


@click.command()
@click.argument("pred")
@click.argument("gt")
@click.option(
    "--classes",
    metavar="TABLE",
    help="Class table in which both are compared, a name or .toml file.  [default: that of GT]",
)
@click.option(
    "--pred-format",
    metavar="F",
    help="How PRED is written: png:TABLE for PNGs of ids, or any format of ground truth.  "
    "[default: png: and the classes of the comparison]",
)
@click.option(
    "--gt-format",
    default="auto",
    show_default=True,
    metavar="F",
    help="How GT is written: png:TABLE, ade20k, camvid, cityscapes, cityscapes_ids, "
    "foggy_driving, coco_panoptic, coco_instances, voc; auto looks.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="TITLE=PATH",
    help="Another label set to compare with side by side, written as PRED. May be repeated.",
)
@click.option(
    "--title", default="labels", show_default=True, metavar="TEXT", help="What PRED is called."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="For report.json, per_class.csv and index.html.",
)
@click.option("--images", metavar="DIR", help="The images, to draw the worst ones in the report.")
@click.option("--no-boundaries", is_flag=True, help="Leave out boundary IoU and F.")
def evaluate(
    pred: str,
    gt: str,
    classes: str | None,
    pred_format: str | None,
    gt_format: str,
    against: tuple[str, ...],
    title: str,
    out: Path | None,
    images: str | None,
    no_boundaries: bool,
) -> None:
    """Compare the label maps of PRED with the ground truth of GT.

    PRED is a folder of PNGs named like the images, such as maps/merged19 of `seg-assets label`, or
    a file or folder in any format of ground truth. Pictures without a partner are counted and told.
    Panoptic quality is computed where GT knows objects; docs/metrics.md explains all numbers.
    """
    if images is not None and out is None:
        raise InputError("--images is for the pictures of the report: give --out as well")

    # Reading and comparing load compiled code: not for --help.
    from seg_assets.data.ground_truth.open import open_ground_truth  # noqa: PLC0415
    from seg_assets.evaluation.sources import SourceComparison  # noqa: PLC0415

    truth = open_ground_truth(gt, gt_format)
    written = pred_format or f"png:{classes or truth.table.name}"
    predictions = {title: open_ground_truth(pred, written)}
    for named in against:
        other, equals, path = named.partition("=")
        if not equals or not other or not path or other in predictions:
            raise InputError(f"--against {named}: write it as TITLE=PATH, with a title of its own")
        predictions[other] = open_ground_truth(path, written)
    comparison = SourceComparison.open(truth, predictions, classes)
    if images is not None:
        from seg_assets.data.sources import find_shards  # noqa: PLC0415

        find_shards(images)  # told before the work, as below
    if out is not None:
        _make_folder(out)  # what cannot be written is told before the work, not after it
    tally = comparison.compare(
        boundaries=not no_boundaries,
        progress=lambda ids: tqdm(ids, unit="image", disable=None),
    )
    _tell(tally, written)
    if out is not None:
        _write(out, tally, comparison, images)
    failed = sum(tally.missing[reason].count for reason in REASONS if reason in tally.missing)
    if failed:
        raise ImageError(
            f"{failed} of {len(comparison.images)} images could not be compared: mend them or "
            "leave them out, and run again"
        )


def _tell(tally: "Tally", written: str) -> None:
    from seg_assets.evaluation.page import total_rows, unnameable  # noqa: PLC0415
    from seg_assets.evaluation.report import report_of  # noqa: PLC0415

    report = report_of(tally)
    heads, rows = total_rows(report, {})
    cells = [heads, *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    if rows:
        for row in cells:
            first, *others = (c.rjust(width) for c, width in zip(row, widths, strict=True))
            click.echo("  ".join([row[0].ljust(widths[0]), *others]))
        (table,) = {scores["table"] for scores in report["scores"].values()}
        click.echo(
            f"{tally.images} images compared, in the classes of {table}; "
            f"label maps read as {written}"
        )
        for note in unnameable(report, {}):
            click.echo(note)
    for reason, missing in tally.missing.items():
        click.echo(f"{missing.count} x {reason}, such as {missing.examples[0]}", err=True)


def _write(out: Path, tally: "Tally", comparison: "SourceComparison", images: str | None) -> None:
    from seg_assets.evaluation.output import report_files  # noqa: PLC0415
    from seg_assets.storage.local_files import LocalFiles  # noqa: PLC0415

    pictures = [] if images is None else list(_pictures(tally, comparison, images))
    titles = {title: title for title in comparison.predictions}
    about = {title: source.source for title, source in comparison.predictions.items()}
    files = report_files(
        tally, titles, pictures, {"predictions": about, "truth": comparison.truth.source}
    )
    for name, data in files.items():
        LocalFiles(str(out)).write(name, data)
    click.echo(f"the report is {out / 'index.html'}; numbers are beside it")


def _make_folder(out: Path) -> None:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(out)):  # pathlib has made s3:/x of s3://x
        raise InputError(f"{out} is no folder of this machine: write the report to one")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {out} ({error.strerror}): choose another --out"
        ) from error


def _pictures(
    tally: "Tally", comparison: "SourceComparison", images: str
) -> Iterator["tuple[RatedImage, np.ndarray]"]:
    """The worst images beside their truth and all label sets."""
    from seg_assets.data.images import read_image  # noqa: PLC0415
    from seg_assets.data.sources import find_shards  # noqa: PLC0415
    from seg_assets.viz.comparison import draw_comparison  # noqa: PLC0415

    references = {
        comparison.truth.find(reference.image_id): reference
        for shard in find_shards(images)
        for reference in shard.images
    }
    for rated in tally.worst:
        reference = references.get(rated.image_id)
        if reference is None:
            click.echo(f"{images} has no image {rated.image_id}: it is not drawn", err=True)
            continue
        label_maps = {
            title: label_set.class_map.apply(label_set.label_map)
            for title, label_set in comparison.read_predictions(rated.image_id).items()
        }
        truth = comparison.read_truth(rated.image_id).label_map
        try:
            pixels = read_image(reference)
        except ImageError as error:  # the numbers are there: a photo must not cost them
            click.echo(f"{error}: not drawn", err=True)
            continue
        if pixels.shape[:2] != truth.shape:
            click.echo(f"{reference.where} has another size than its truth: not drawn", err=True)
            continue
        yield rated, draw_comparison(pixels, truth, label_maps, comparison.table)


def _text(cell: "Cell") -> str:
    if cell is None:
        return "-"
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
