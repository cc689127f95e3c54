"""`seg-assets label`: the whole chain over a folder, without Dagster and without a store."""

from pathlib import Path

import click

from seg_assets.cli.options import (
    device_option,
    limit_option,
    mask_param_option,
    out_option,
    overwrite_option,
    parse_params,
    sam_option,
)
from seg_assets.labels.params import MERGED_CLASSES, LabelParams
from seg_assets.masks.params import MASK_PRESETS, MaskParams
from seg_assets.modeling.devices import parse_devices


@click.command()
@click.argument("source")
@out_option
@sam_option
@click.option(
    "--seem",
    default="seem_focall_v1",
    show_default=True,
    envvar="SEG_SEEM_MODEL",
    show_envvar=True,
    metavar="NAME",
    help="Model that names them.",
)
@device_option
@click.option(
    "--classes",
    default=MERGED_CLASSES,
    show_default=True,
    metavar="TABLE",
    help="Classes of merged maps and overlays: a table's name or .toml file. Those of the semantic "
    "maps, base28, leave out the merged maps.",
)
@click.option(
    "--masks",
    "preset",
    type=click.Choice(list(MASK_PRESETS)),
    default="upstream",
    show_default=True,
    help="Preset of the mask generator's parameters.",
)
@mask_param_option
@click.option(
    "--label-param",
    "label_settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a parameter of the labelling, as max_side=1024. May be repeated.",
)
@limit_option
@overwrite_option
def label(
    source: str,
    out: Path,
    sam: str,
    seem: str,
    device: str | None,
    classes: str,
    preset: str,
    mask_settings: tuple[str, ...],
    label_settings: tuple[str, ...],
    limit: int | None,
    overwrite: bool,
) -> None:
    """Label every image of SOURCE: a folder, an image, a tar file, or an s3:// prefix.

    DIR receives label maps as indexed PNG, overlays, and regions.csv and regions.parquet with a
    line per region. Sub-folders of SOURCE stay sub-folders. An image that cannot be read goes to
    errors.csv and does not stop the others. Run again, and only what is missing is done.
    """
    mask_params = parse_params(MaskParams, mask_settings, MASK_PRESETS[preset], "--mask-param")
    label_params = parse_params(LabelParams, label_settings, {}, "--label-param")

    # The rest of the chain brings torch, which takes seconds to import: not for --help.
    from seg_assets.classes.record import table_record  # noqa: PLC0415
    from seg_assets.cli.label_output import LabelOutput  # noqa: PLC0415
    from seg_assets.cli.result_folder import refuse_inside  # noqa: PLC0415
    from seg_assets.data.sources import find_shards  # noqa: PLC0415
    from seg_assets.labels.tables import map_folders, merged_map, semantic_map  # noqa: PLC0415
    from seg_assets.modeling.identity import checkpoint_identity  # noqa: PLC0415
    from seg_assets.modeling.manifest import entry  # noqa: PLC0415
    from seg_assets.pipeline import Pipeline  # noqa: PLC0415

    refuse_inside(out, source)
    images = [image for shard in find_shards(source, limit=limit) for image in shard.images]
    chosen = entry(seem, kind="seem")
    semantic = semantic_map(chosen.classes, label_params)
    merged = merged_map(semantic.target, classes, map_folders(seem))
    tables = {
        "source": semantic.source,
        "semantic": semantic.target,
        "merged": merged.target,
    }
    settings = {
        "sam": {"model": sam, "checkpoint": checkpoint_identity(entry(sam, kind="sam"))},
        "masks": mask_params.that_decide_masks(),
        "seem": {"model": seem, "checkpoint": checkpoint_identity(chosen)},
        "labels": label_params.that_decide_labels(),
        "classes": {kind: table_record(table) for kind, table in tables.items()},
    }
    LabelOutput(out, settings, overwrite=overwrite).fill(
        images,
        lambda: Pipeline.load(
            sam=sam,
            seem=seem,
            device=parse_devices(device or "")[0].device,
            mask_params=mask_params,
            label_params=label_params,
            merged_classes=classes,
        ),
    )
