"""From a manifest entry to a network that is ready to run.

The file is hashed before it is opened, opened as data only (no code in a pickle is ever run), and
its keys must be the network's keys.
"""

import hashlib
import logging
import pickle
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.manifest import ModelEntry, missing_weights, weights_path
from seg_assets.modeling.pixels import PIXEL_MEAN, PIXEL_STD
from seg_assets.modeling.weights_file import check_hash, refuse_other_files

_log = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)

_ZIP = b"PK\x03\x04"
_WRAPPERS = ("model", "state_dict")
_NAMED_KEYS = 3

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


@dataclass(frozen=True)
class LoadedModel(Generic[Network]):
    """A network in evaluation mode on its device, and what it was loaded from.

    Attributes:
        model: The network; no parameter asks for gradients.
        entry: Its manifest entry.
        sha256: Hash of the file, or of the seeded weights.
        trained: False where seeded random weights stand in for a checkpoint.
    """

    model: Network
    entry: ModelEntry
    sha256: str
    trained: bool


def load_model(
    entry: ModelEntry,
    build: Callable[[str], Network],
    device: str | torch.device = "cpu",
    *,
    ignore: Iterable[str] = (),
) -> LoadedModel[Network]:
    """Build the network of `entry`, fill it with its weights and make it ready to run.

    Torch's global random state is left as it was found.

    Args:
        entry: Which checkpoint.
        build: Makes the network on the CPU from the name of its configuration.
        device: Where the network shall run, e.g. "cpu" or "cuda:0".
        ignore: Patterns of keys that the file may hold or lack without meaning, e.g. "criterion.*".

    Raises:
        InputError: The device is not there, or the entry asks for another mean or deviation.
        CheckpointError: The file is missing, damaged, or does not fit the network.
    """
    if (entry.mean, entry.std) != (PIXEL_MEAN, PIXEL_STD):
        raise InputError(
            f"the model manifest gives {entry.name} the mean {entry.mean} and std {entry.std}; "
            f"our networks take {PIXEL_MEAN} and {PIXEL_STD} only"
        )
    target = _usable_device(device)
    path = weights_path(entry)
    from_file = path.is_file()
    if not from_file and entry.seed is None:
        raise missing_weights(entry)
    state: dict[str, Tensor] = {}
    sha256 = ""
    if from_file:
        sha256, expected = check_hash(path, entry.sha256)
        if expected is None:
            _log.warning(
                "no hash of %s is published or recorded, so it is used unchecked; "
                "`seg-assets models verify %s` records it",
                path,
                entry.name,
            )
        state = _open_state(path)
    # Weights are drawn on the CPU; torch.manual_seed would reseed the accelerators as well.
    with torch.random.fork_rng(devices=[]):
        if entry.seed is not None:
            torch.default_generator.manual_seed(entry.seed)
        model = build(entry.config)
    if from_file:
        load_strict(model, state, str(path), ignore)
    else:
        sha256 = state_sha256(model.state_dict())
        _log.warning(
            "%s has no trained weights yet: seeded random ones (seed %d) stand in, "
            "so its masks and labels mean nothing",
            entry.name,
            entry.seed,
        )
    model = model.eval().requires_grad_(False).to(target)
    return LoadedModel(model=model, entry=entry, sha256=sha256, trained=from_file)


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
    return _open_state(path)


def load_strict(
    model: nn.Module, state: Mapping[str, Tensor], where: str, ignore: Iterable[str] = ()
) -> None:
    """Copy `state` into `model`; every key and shape must agree.

    Args:
        model: The network to fill; untouched if anything disagrees.
        state: Tensors by key.
        where: The file's name, for the error.
        ignore: Patterns of keys that either side may have alone.

    Raises:
        CheckpointError: Names a few of the missing, unknown and wrongly shaped keys.
    """
    patterns = tuple(ignore)
    own = model.state_dict()

    def counts(key: str) -> bool:
        return not any(fnmatchcase(key, pattern) for pattern in patterns)

    missing = [key for key in own if key not in state and counts(key)]
    unknown = [key for key in state if key not in own and counts(key)]
    shared = [key for key in state if key in own]
    reshaped = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in shared
        if state[key].shape != own[key].shape and counts(key)
    ]
    problems = [
        f"{len(keys)} {what} ({_some(keys)})"
        for what, keys in (("missing", missing), ("unknown", unknown), ("of wrong shape", reshaped))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{where} does not fit {type(model).__name__}: keys {', '.join(problems)}; "
            "is it the checkpoint of another model?"
        )
    fitting = {key: state[key] for key in shared if state[key].shape == own[key].shape}
    model.load_state_dict(fitting, strict=False)


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors, whatever their order."""
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _usable_device(device: str | torch.device) -> torch.device:
    try:
        usable = torch.device(device)
        torch.empty(1, device=usable)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"the device '{device}' cannot be used here ({str(error).splitlines()[0]}); "
            "use cpu, or set SEG_DEVICES to what this machine has"
        ) from error
    return usable


def _open_state(path: Path) -> dict[str, Tensor]:
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


def _some(keys: list[str]) -> str:
    more = len(keys) - _NAMED_KEYS
    return ", ".join(keys[:_NAMED_KEYS]) + (f" and {more} more" if more > 0 else "")
