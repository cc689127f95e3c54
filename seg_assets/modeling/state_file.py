"""From a weights file to its tensors, opened as data only: no code in a pickle is ever run."""

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from seg_assets.errors import CheckpointError
from seg_assets.modeling.weights_file import check_hash, refuse_other_files

DESCRIPTION = "seg_assets"
"""Key in a .safetensors file's metadata under which a training describes its weights, as JSON."""

_ZIP = b"PK\x03\x04"
_WRAPPERS = ("model", "state_dict")

# What the readers were seen to raise on files with cut or flipped bytes.
_DAMAGE = (
    SafetensorError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    AssertionError,
    AttributeError,
    TypeError,
    struct.error,
)


def read_state(path: str | Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors, .pth or .pt file onto the CPU.

    Args:
        path: The file. A checkpoint that wraps its weights in "model" or "state_dict" is unwrapped.
        sha256: Hash that the file must have, or None to take it as it is.

    Returns:
        Tensors by key. Those of a large file may be mapped to it: copy before changing them.

    Raises:
        CheckpointError: The file is missing, has another hash, is damaged, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no weights file at {path}")
    if sha256 is not None:
        check_hash(path, sha256)
    return open_state(path)


def open_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file that is there and was hashed; otherwise as `read_state`."""
    refuse_other_files(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with path.open("rb") as file:
            is_zip = file.read(len(_ZIP)) == _ZIP
        # Mapping a zipped checkpoint saves a second copy in memory; old pickles cannot be mapped.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged or holds more than plain tensors, so it was not opened"
        ) from error
    except _DAMAGE as error:
        raise CheckpointError(
            f"{path} is truncated or damaged: "
            "get it anew with `seg-assets models download --force NAME`"
        ) from error
    return _plain_state(content, path)


def read_description(path: Path) -> dict[str, Any] | None:
    """What a training wrote about its weights into their file, or None where none did.

    Raises:
        CheckpointError: The file is damaged.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(DESCRIPTION)
        return None if text is None else json.loads(text)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: put a sound copy there") from error


def _plain_state(content: object, path: Path) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path} holds no table of tensors, so it is no checkpoint")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path} is no checkpoint: '{key}' is a {type(value).__name__}, not a tensor"
            )
    return dict(content)
