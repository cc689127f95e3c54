"""`seg-assets ssa`: Semantic-Segment-Anything over a folder, without Dagster."""

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
from seg_assets.labels.ssa_params import SSA_MASK_PRESETS, SSA_PRESETS, SsaParams
from seg_assets.masks.params import MASK_PRESETS, MaskParams
from seg_assets.modeling.devices import parse_devices


@click.command()
@click.argument("source")
@out_option
@click.option(
    "--preset",
    type=click.Choice(list(SSA_PRESETS)),
    help="Segmentor, parameters and masks as SSA has them for this data set.",
)
@click.option(
    "--segmentor",
    metavar="SPEC",
    help="Who labels the pixels: seem, seem:NAME, hf:REPOSITORY or maps:FOLDER:TABLE.  "
    "[default: the preset's, else seem]",
)
@sam_option
@click.option(
    "--seem",
    default="seem_focall_v1",
    show_default=True,
    envvar="SEG_SEEM_MODEL",
    show_envvar=True,
    metavar="NAME",
    help="Model that the segmentor seem means.",
)
@device_option
@click.option(
    "--param",
    "ssa_settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a parameter of SSA, as min_vote_share=0.5. May be repeated.",
)
@click.option(
    "--masks",
    "mask_preset",
    type=click.Choice(list(MASK_PRESETS)),
    help="Preset of the mask generator's parameters.  [default: that of --preset, else ssa]",
)
@mask_param_option
@limit_option
@overwrite_option
def ssa(
    source: str,
    out: Path,
    preset: str | None,
    segmentor: str | None,
    sam: str,
    seem: str,
    device: str | None,
    ssa_settings: tuple[str, ...],
    mask_preset: str | None,
    mask_settings: tuple[str, ...],
    limit: int | None,
    overwrite: bool,
) -> None:
    """Let a segmentor's label maps vote on SAM's masks, for every image of SOURCE.

    SOURCE is a folder, an image, a tar file, or an s3:// prefix. DIR receives a JSON per image in
    SSA's form, label maps as indexed PNG, the segmentor's own maps, and overlays. Sub-folders of
    SOURCE stay sub-folders. An image that cannot be read goes to errors.csv and does not stop the
    others. Run again, and only what is missing is done.
    """
    base = SSA_PRESETS[preset] if preset else {}
    if segmentor is not None:
        base = {**base, "segmentor": segmentor}
    params = parse_params(SsaParams, ssa_settings, base, "--param")
    masks = MASK_PRESETS[mask_preset or (SSA_MASK_PRESETS[preset] if preset else "ssa")]
    mask_params = parse_params(MaskParams, mask_settings, masks, "--mask-param")

    # The rest brings torch, which takes seconds to import: not for --help.
    from seg_assets.classes.record import table_record  # noqa: PLC0415
    from seg_assets.cli.result_folder import refuse_inside  # noqa: PLC0415
    from seg_assets.cli.ssa_output import SsaOutput  # noqa: PLC0415
    from seg_assets.data.sources import find_shards  # noqa: PLC0415
    from seg_assets.labels.segmentors.load import (  # noqa: PLC0415
        segmentor_classes,
        segmentor_identity,
        stored_label_maps,
    )
    from seg_assets.labels.ssa_labeler import SsaLabeler, name_seem  # noqa: PLC0415
    from seg_assets.modeling.identity import checkpoint_identity  # noqa: PLC0415
    from seg_assets.modeling.manifest import entry  # noqa: PLC0415

    refuse_inside(out, source)
    images = [image for shard in find_shards(source, limit=limit) for image in shard.images]
    params = name_seem(params, seem)
    label_maps = stored_label_maps(params.segmentor)
    # label maps may come and change one by one: each image knows its own
    checkpoint = segmentor_identity(params.segmentor) if label_maps is None else None
    settings = {
        "sam": {"model": sam, "checkpoint": checkpoint_identity(entry(sam, kind="sam"))},
        "masks": mask_params.that_decide_masks(),
        "segmentor": {"name": params.segmentor, "checkpoint": checkpoint},
        "ssa": params.model_dump(mode="json", exclude={"segmentor"}),
        "classes": table_record(segmentor_classes(params.segmentor, params)),
    }
    SsaOutput(out, settings, label_maps, overwrite=overwrite).fill(
        images,
        lambda: SsaLabeler.load(
            sam=sam,
            params=params,
            device=parse_devices(device or "")[0].device,
            mask_params=mask_params,
        ),
    )
