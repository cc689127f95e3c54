"""`seg-assets demo`: generated scenes through the real Dagster graph, ending with where to look."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seg_assets.errors import InputError, SegAssetsError
from seg_assets.masks.params import MASK_PRESETS

if TYPE_CHECKING:
    from seg_assets.cli.demo_objects import ObjectScores
    from seg_assets.data.scenes import View
    from seg_assets.storage.store import Store

SAM, SEEM = "sam_demo", "seem_demo"
SHARD_SIZE = 4
ASSETS = (
    "raw_images",
    "sam_masks",
    "seem_logits",
    "seem_labels",
    "region_labels",
    "semantic_maps",
    "merged_maps",
    "ssa_masks",
    "ssa_maps",
    "evaluation_metrics",
)
INSTANCE = """\
telemetry: {enabled: false}
nux: {enabled: false}
python_logs: {managed_python_loggers: [seg_assets], python_log_level: INFO}
concurrency: {pools: {granularity: run, default_limit: 1}}
"""
MARK = ".seg-assets-demo"
# the small SEEM learned from scenes of this size
SETTINGS = {"sam_masks": MASK_PRESETS["demo"], "seem": {"short_side": 128}}


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    metavar="DIR",
    help="Folder that the demo fills; what an earlier demo left there is replaced.",
)
@click.option(
    "--scenes", type=click.IntRange(1, 500), default=8, show_default=True, help="How many scenes."
)
@click.option(
    "--size",
    type=click.IntRange(64, 1024),
    default=384,
    show_default=True,
    help="Height and width of a scene in pixels.",
)
@click.option(
    "--view",
    type=click.Choice(["close", "wide"]),
    default="close",
    show_default=True,
    help="A few large things per scene, as the small models know them, or many near and far.",
)
def demo(out: Path, scenes: int, size: int, view: "View") -> None:
    """Label generated scenes whose ground truth is exact, through the Dagster graph.

    Draws scenes, cuts them into shards, materialises every asset of every shard as a user would,
    and says where pictures, maps and numbers are.
    """
    started = time.monotonic()
    out = _fresh_folder(out)

    from seg_assets.data.scenes import LABEL_FORMAT, write_scenes  # noqa: PLC0415  # draws: not for --help
    from seg_assets.data.shards import register_shards  # noqa: PLC0415
    from seg_assets.data.sources import find_shards  # noqa: PLC0415
    from seg_assets.storage.store import Store  # noqa: PLC0415

    click.echo(f"1. drawing {scenes} scenes of {size} x {size} pixels with exact ground truth")
    images = write_scenes(out / "scenes", range(scenes), size, view=view)
    shards = find_shards(
        out / "scenes" / "images",
        shard_size=SHARD_SIZE,
        prefix="scenes",
        label_root=out / "scenes" / "labels",
        label_format=LABEL_FORMAT,
    )
    store = Store(out / "store")
    register_shards(store, shards)

    environment = _dagster_environment(out)
    names = [shard.name for shard in shards]
    _add_partitions(environment, names)
    config = json.dumps({"ops": {name: {"config": values} for name, values in SETTINGS.items()}})
    for i, name in enumerate(names, start=1):
        click.echo(f"2. materialising shard {name} ({i} of {len(names)})")
        materialise = ["asset", "materialize", "-m", "seg_assets.definitions"]
        chosen = ["--select", ",".join(ASSETS), "--partition", name, "--config-json", config]
        _run_dagster([*materialise, *chosen], environment, out)
    click.echo("3. adding up the metrics of all shards")
    _run_dagster(
        ["asset", "materialize", "-m", "seg_assets.definitions", "--select", "evaluation_report"],
        environment,
        out,
    )

    from seg_assets.cli.demo_objects import score_objects  # noqa: PLC0415
    from seg_assets.cli.demo_pictures import draw_pictures  # noqa: PLC0415

    pictures = draw_pictures(store, names, out / "pictures")
    seeds = {path.stem: seed for seed, path in enumerate(images)}
    points = int(MASK_PRESETS["demo"]["points_per_side"])
    objects = score_objects(store, names, seeds, size, view, points)
    _tell(out, store, len(pictures), objects, environment, time.monotonic() - started)


def _fresh_folder(out: Path) -> Path:
    """Make the folder; replace it only if an earlier demo made it."""
    out = out.resolve()
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise InputError(f"{out} holds something else than a demo: choose another --out")
        shutil.rmtree(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / MARK).touch()
    except OSError as error:
        raise InputError(
            f"{out} cannot be made a folder ({error.strerror}): choose another --out"
        ) from error
    return out


def _dagster_environment(out: Path) -> dict[str, str]:
    home = out / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(INSTANCE)
    settings = {
        "DAGSTER_HOME": str(home),
        "SEG_DATA_DIR": str(out / "store"),
        "SEG_SAM_MODEL": SAM,
        "SEG_SEEM_MODEL": SEEM,
    }
    return {**os.environ, **settings}


def _add_partitions(environment: Mapping[str, str], names: list[str]) -> None:
    import dagster as dg  # noqa: PLC0415  # two seconds

    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        instance.add_dynamic_partitions("shards", names)


def _run_dagster(arguments: list[str], environment: Mapping[str, str], out: Path) -> None:
    log = out / "dagster.log"
    with log.open("a") as file:
        run = subprocess.run(
            [sys.executable, "-m", "dagster", *arguments],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if run.returncode != 0:
        last = "\n".join(log.read_text().splitlines()[-15:])
        raise SegAssetsError(f"the run failed; {log} holds its log, which ends with:\n{last}")


def _tell(
    out: Path,
    store: "Store",
    pictures: int,
    objects: "ObjectScores",
    environment: Mapping[str, str],
    seconds: float,
) -> None:
    from seg_assets.stages.comparison import METHODS, SAM_SEEM  # noqa: PLC0415
    from seg_assets.stages.evaluation_report import REPORT_FOLDER, REPORT_PATH  # noqa: PLC0415

    report = json.loads(store.read_bytes(REPORT_PATH))
    scores = report["scores"][SAM_SEEM]
    click.echo(
        f"\ndone in {seconds:.0f} s: {report['images']} scenes, mIoU {scores['miou']:.3f}, "
        f"pixel accuracy {scores['aacc']:.3f} ({scores['table']} classes)"
    )
    others = [
        f"{METHODS[method]} {found['miou']:.3f}"
        for method, found in report["scores"].items()
        if method != SAM_SEEM
    ]
    best = report["masks"]["oracle"]["miou"]
    click.echo(
        f"beside it:  mIoU of {', '.join(others)}; {best:.3f} if each region had its true class"
    )
    click.echo(
        f"masks: the best one of each of {objects.objects} objects has a mean IoU of "
        f"{objects.iou:.3f}; discs in their place would have {objects.disc_iou:.3f}"
    )
    click.echo(
        f"\npictures   {out / 'pictures'} ({pictures} scenes: image, regions, labels, truth)"
    )
    click.echo(f"results    {out / 'store'} (Parquet; docs/storage.md says how to read it)")
    click.echo(f"report     {store.location(REPORT_FOLDER)}/index.html (open it in a browser)")
    kept = ("DAGSTER_HOME", "SEG_DATA_DIR", "SEG_SAM_MODEL", "SEG_SEEM_MODEL")
    shown = " ".join(f"{name}={environment[name]}" for name in kept)
    click.echo(f"graph      {shown} \\")
    click.echo(f"           {sys.executable} -m dagster dev -m seg_assets.definitions")
