"""`seg-assets data`: data sets to train on, out of what you have."""

from collections.abc import Sequence
from pathlib import Path

import click

from seg_assets.data.ct.params import CtParams
from seg_assets.data.sources import FORMATS, find_shards
from seg_assets.training.overrides import apply_overrides


@click.group()
def data() -> None:
    """Prepare data sets for training."""


@data.command()
@click.argument("images")
@click.argument("labels")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="For the pictures."
)
def ct(images: str, labels: str, overrides: Sequence[str], out: Path) -> None:
    """Turn CT or MR volumes with organ labels into pictures with masks.

    IMAGES and LABELS are folders of NIfTI files, named as FLARE22's. DIR receives the splits train
    and val for `seg-assets train sam --format png`. KEY=VALUE changes a parameter, as
    modality=mr level=50 removed_labels=12,13; docs/datasets.md lists them.
    """
    params = apply_overrides(CtParams(), overrides)

    from seg_assets.data.ct.prepare import prepare_ct  # noqa: PLC0415  # scipy

    report = prepare_ct(images, labels, out, params)
    for split in ("train", "val"):
        cases = sum(case.split == split for case in report.cases)
        click.echo(f"{split}: {report.slices(split)} slices of {cases} cases")
    click.echo(f"the pictures are in {out}; preparation.json there says what was done")


@data.command()
@click.argument("source")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The data set."
)
@click.option("--split", required=True, metavar="NAME", help="train, validation or another name.")
@click.option(
    "--format",
    "source_format",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="What SOURCE is; auto looks.",
)
@click.option("--labels", metavar="TRUTH", help="Ground truth: a folder or a COCO JSON file.")
@click.option(
    "--label-format",
    metavar="F",
    help="How it is written, as in `seg-assets shards add --help`.  [default: auto, which looks]",
)
@click.option(
    "--classes",
    default="",
    metavar="TABLE",
    help="Categories: a class table, or a .json list in training order.  [default: the labels']",
)
@click.option("--instances", metavar="DIR", help="Instance maps: a number from 1 per object.")
@click.option("--sentences", metavar="FILE", help="JSON of your own sentences, by image id.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N images.")
def panoptic(
    source: str,
    out: Path,
    split: str,
    source_format: str,
    labels: str | None,
    label_format: str | None,
    classes: str,
    instances: str | None,
    sentences: str | None,
    limit: int | None,
) -> None:
    """Build a split of a data set that `seg-assets train seem` reads.

    SOURCE is a folder of images, or one list of CamVid's, as CamVid/train.txt. A split of that name
    is replaced when the new one is whole. The Dagster asset training_dataset does the same for
    shards; docs/training_data.md has the layout.
    """
    from seg_assets.data.panoptic.dataset import build_dataset  # noqa: PLC0415
    from seg_assets.data.panoptic.sentences import read_user_sentences  # noqa: PLC0415
    from seg_assets.stages.training_categories import (  # noqa: PLC0415
        CategoryParams,
        named_categories,
        read_named_file,
    )

    shards = find_shards(
        source, format=source_format, label_root=labels, label_format=label_format, limit=limit
    )
    said = read_user_sentences(read_named_file(sentences), sentences) if sentences else None
    summary = build_dataset(
        out,
        split,
        shards,
        categories=named_categories(CategoryParams(classes=classes)) if classes else None,
        instances=instances,
        sentences=said,
    )
    click.echo(
        f"{split}: {summary.images} images with {summary.segments} segments and "
        f"{summary.sentences} sentences, {summary.unlabelled_share:.1%} of the pixels without a "
        f"label; the data set is in {out}"
    )
    for image_id, why in summary.failed.items():
        click.echo(f"left out {image_id}: {why}", err=True)
