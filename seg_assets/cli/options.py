"""Options that several commands share, and how NAME=VALUE becomes a parameter."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel, ValidationError

from seg_assets.errors import InputError
from seg_assets.modeling.devices import DEVICES_VARIABLE

Params = TypeVar("Params", bound=BaseModel)

DEFAULT_STORE = "data"


# Options of the commands that label what a source holds, by their order in the help.
out_option = click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="For the results."
)
sam_option = click.option(
    "--sam",
    default="sam_vit_h",
    show_default=True,
    envvar="SEG_SAM_MODEL",
    show_envvar=True,
    metavar="NAME",
    help="Model that finds the masks; `seg-assets models list` shows them.",
)
device_option = click.option(
    "--device",
    envvar=DEVICES_VARIABLE,
    show_envvar=True,
    metavar="D",
    help="cpu, cuda:0, ...; of several, the first.  [default: the first CUDA device, else cpu]",
)
mask_param_option = click.option(
    "--mask-param",
    "mask_settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change one of the preset's parameters, as points_per_side=16. May be repeated.",
)
limit_option = click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N images."
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Label again what DIR has results of."
)


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--store`."""
    return click.option(
        "--store",
        "store_url",
        default=DEFAULT_STORE,
        show_default=True,
        envvar="SEG_DATA_DIR",
        show_envvar=True,
        metavar="URL",
        help="Where shards and results are kept: a folder or any fsspec URL, as s3://bucket/path.",
    )(command)


def parse_params(
    model: type[Params], settings: Sequence[str], base: Mapping[str, Any], option: str
) -> Params:
    """Read parameters given as NAME=VALUE; "none" stands for no value.

    Args:
        model: The parameters' class.
        settings: What the user gave, e.g. ["points_per_side=16"].
        base: What the settings change, e.g. those of a preset.
        option: Name of the option, for the error.

    Raises:
        InputError: A setting has another form, an unknown name or a value out of bounds.
    """
    values = dict(base)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"{option} {setting}: write it as NAME=VALUE")
        if name not in model.model_fields:
            known = ", ".join(model.model_fields)
            raise InputError(f"{option} {setting}: there is no '{name}'; choose one of: {known}")
        values[name] = None if value.lower() == "none" else value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{option} {where}: {first['msg']}".replace(" :", ":")) from error
