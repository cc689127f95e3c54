"""Reads a TOML file that a person wrote into a checked record."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from seg_assets.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


def read_toml_file(path: Path, model: type[Model]) -> Model:
    """Read ``path`` and check it against ``model``.

    Args:
        path: A local TOML file.
        model: The pydantic model that says which keys the file has.

    Returns:
        The file's content as an instance of ``model``.

    Raises:
        InputError: The file cannot be read, is not TOML, or has missing, unknown or wrong keys.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot read {path}: {reason}; give the path of a .toml file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file: {error}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # One sentence about the first fault: a person mends a file one fault at a time.
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"]) or "the top level"
        raise InputError(f"{path}: {key}: {fault['msg']}") from error
