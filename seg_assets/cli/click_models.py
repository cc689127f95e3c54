"""`seg-assets models click`: how well a mask model answers one click on each true object."""

import csv
from pathlib import Path

import click
from tqdm import tqdm

from seg_assets.errors import ComparisonError, ImageError, InputError
from seg_assets.modeling.devices import DEVICES_VARIABLE, parse_devices


@click.command("click")
@click.argument("name")
@click.argument("images")
@click.argument("gt")
@click.option(
    "--gt-format",
    default="auto",
    show_default=True,
    metavar="F",
    help="How GT is written; it must know objects: coco_panoptic, cityscapes_ids, voc.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="CSV with a line per object."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N images.")
@click.option(
    "--device",
    envvar=DEVICES_VARIABLE,
    show_envvar=True,
    metavar="D",
    help="cpu, cuda:0, ...; of several, the first.  [default: the first CUDA device, else cpu]",
)
def click_models(
    name: str,
    images: str,
    gt: str,
    gt_format: str,
    out: Path | None,
    limit: int | None,
    device: str | None,
) -> None:
    """Click once on each object of GT in IMAGES, and compare what model NAME answers.

    Prints 1-IoU: the mean IoU of the masks that the model trusts most (Max) and of the best of its
    masks (Oracle), over all objects. Things and stuff are clicked where they are widest.
    """
    from seg_assets.data.ground_truth.open import open_ground_truth  # noqa: PLC0415
    from seg_assets.data.images import read_image  # noqa: PLC0415
    from seg_assets.data.sources import find_shards  # noqa: PLC0415
    from seg_assets.evaluation.clicks import click_objects, sum_clicks  # noqa: PLC0415
    from seg_assets.masks.predictor import load_prompt_predictor  # noqa: PLC0415
    from seg_assets.metrics.click_iou import ClickIou, click_scores  # noqa: PLC0415

    if out is not None and not out.parent.is_dir():  # told before the work, not after it
        raise InputError(f"{out} cannot be written: there is no folder {out.parent}")
    truth = open_ground_truth(gt, gt_format)
    references = [image for shard in find_shards(images, limit=limit) for image in shard.images]
    known = [image for image in references if truth.find(image.image_id) is not None]
    if not known:
        raise InputError(f"{gt} has no truth for any image of {images}: name them alike")
    predictor = load_prompt_predictor(name, parse_devices(device or "")[0].device)
    total, rows, failed = ClickIou.empty(), [], []
    for image in tqdm(known, unit="image", disable=None):
        try:
            found = click_objects(
                predictor, read_image(image), truth.read(image.image_id), image.image_id
            )
        except ComparisonError as error:
            if error.kind == "no objects":
                raise InputError(str(error)) from error
            failed.append(f"{image.image_id}: {error}")
        except ImageError as error:
            failed.append(f"{image.image_id}: {error}")
        else:
            total = total + sum_clicks(found)
            rows += [item.to_row(image.image_id) for item in found]
    scores = click_scores(total)
    if scores.chosen is not None and scores.best is not None:
        click.echo(
            f"{scores.objects} objects in {len(known) - len(failed)} images: 1-IoU "
            f"{scores.chosen:.4f} (Max), {scores.best:.4f} (Oracle)"
        )
    if without := len(references) - len(known):
        click.echo(f"{without} images have no ground truth", err=True)
    if out is not None:
        _write(out, rows)
    if failed:
        raise ImageError(f"{len(failed)} of {len(known)} images failed, the first is {failed[0]}")


def _write(out: Path, rows: list[dict[str, object]]) -> None:
    try:
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["image_id"])
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}): choose another") from error
