"""`seg-assets prompt`: the masks of objects that the user points at."""

from pathlib import Path, PurePath

import click

from seg_assets.cli.prompt_types import (
    PROMPT_TYPES,
    build_prompts,
    likely_type,
    parse_box,
    parse_point,
)
from seg_assets.errors import InputError
from seg_assets.modeling.devices import DEVICES_VARIABLE, parse_devices


@click.command()
@click.argument("image")
@click.option(
    "--type",
    "kind",
    type=click.Choice(list(PROMPT_TYPES)),
    help="What the coordinates mean, as listed above.  [default: points belong to one object, each "
    "box is an object]",
)
@click.option(
    "--point",
    "points",
    multiple=True,
    metavar="X,Y,LABEL",
    help="A point; LABEL 1 (or none): on the object, 0: beside it. May be repeated.",
)
@click.option(
    "--box",
    "boxes",
    multiple=True,
    metavar="X0,Y0,X1,Y1",
    help="A box by its left, top, right and bottom. May be repeated.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="For the results."
)
@click.option(
    "--model",
    default="sam_vit_h",
    show_default=True,
    envvar="SEG_SAM_MODEL",
    show_envvar=True,
    metavar="NAME",
    help="The SAM; `seg-assets models list` shows them.",
)
@click.option(
    "--device",
    envvar=DEVICES_VARIABLE,
    show_envvar=True,
    metavar="D",
    help="cpu, cuda:0, ...; of several, the first.  [default: the first CUDA device, else cpu]",
)
@click.option("--show", is_flag=True, help="Open the pictures when they are written.")
def prompt(
    image: str,
    kind: str | None,
    points: tuple[str, ...],
    boxes: tuple[str, ...],
    out: Path,
    model: str,
    device: str | None,
    show: bool,
) -> None:
    """Cut out of IMAGE, a file or a URL, what points and boxes tell.

    Coordinates are pixels of the image, x to the right and y down. The types:

    \b
    point            one point: three masks, for the thing, its parts, the whole;
                     more points: all, with the best of the three, give one
    box              one box: one mask
    point_box        one box and points in or around it: one mask
    batch_point      a point per object: a mask each
    batch_box        a box per object: a mask each
    batch_point_box  a point and a box per object, in pairs: a mask each

    DIR/<name of the image> receives pictures (JPEG; green stars are points with label 1, red ones
    with label 0), masks (PNG) and scores, run lengths and prompts (JSON), all named after the type.
    """  # noqa: D301
    kind = kind or likely_type(len(points), len(boxes))
    prompts = build_prompts(kind, [*map(parse_point, points)], [*map(parse_box, boxes)])

    # The rest brings torch, which takes seconds to import: not for --help.
    from seg_assets.cli.prompt_output import (  # noqa: PLC0415
        decode_steps,
        describe_step,
        lines,
        write_json,
        write_step,
    )
    from seg_assets.data.files import open_folder  # noqa: PLC0415
    from seg_assets.data.images import read_image  # noqa: PLC0415
    from seg_assets.masks.predictor import PromptPredictor  # noqa: PLC0415
    from seg_assets.modeling.mask_models.load import load_mask_model  # noqa: PLC0415

    if open_folder(image).kind() != "file":
        raise InputError(f"{image} is no file that is there: give an image or the URL of one")
    pixels = read_image(image)
    height, width = pixels.shape[:2]
    prompts.check_inside(height, width)  # before the weights are read, which may take long
    sam = load_mask_model(model, parse_devices(device or "")[0].device)
    steps = decode_steps(PromptPredictor(sam.model), pixels, kind, prompts)

    folder = out / PurePath(image).stem
    pictures = [picture for step in steps for picture in write_step(folder, pixels, step)]
    description = {
        "image": image,
        "height": height,
        "width": width,
        "model": sam.entry.name,
        "checkpoint": sam.sha256,
        "trained": sam.trained,
        "type": kind,
        "steps": [describe_step(step) for step in steps],
    }
    write_json(folder / f"{kind}.json", description)
    for step in steps:
        for line in lines(step):
            click.echo(line)
    click.echo(f"the results are in {folder}")
    if show:
        for picture in pictures:
            click.launch(str(picture))
