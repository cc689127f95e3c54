"""From a manifest entry to a network that is ready to run.

The file is hashed before it is opened, and its keys must be the network's keys.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.manifest import ModelEntry, base_of, missing_weights, weights_path
from seg_assets.modeling.pixels import PIXEL_MEAN, PIXEL_STD
from seg_assets.modeling.state_file import open_state
from seg_assets.modeling.weights_file import check_hash

_log = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)

_NAMED_KEYS = 3


@dataclass(frozen=True)
class LoadedModel(Generic[Network]):
    """A network in evaluation mode on its device, and what it was loaded from.

    Attributes:
        model: The network; no parameter asks for gradients.
        entry: Its manifest entry.
        sha256: Hash of the file, or of the seeded weights; with a base, one over both.
        trained: False where seeded random weights stand in for a checkpoint, or for its base.
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
    extend: Callable[[Network], None] | None = None,
    any_pixels: bool = False,
) -> LoadedModel[Network]:
    """Build the network of `entry`, fill it with its weights and make it ready to run.

    An entry with a base takes the base's weights first; its own file then replaces or adds to them
    and must hold all that `extend` has added. Torch's global random state is left as it was found.

    Args:
        entry: Which checkpoint.
        build: Makes the network on the CPU from the name of its configuration.
        device: Where the network shall run, e.g. "cpu" or "cuda:0".
        ignore: Patterns of keys that the file may hold or lack without meaning, e.g. "criterion.*".
        extend: Adds to the network what this entry has beside a plain one (its adapters).
        any_pixels: Whether the caller scales pixels as the entry says; else it must say the usual.

    Raises:
        InputError: The device is not there, the entry asks for another mean or deviation, or its
            base is none.
        CheckpointError: A file is missing, damaged, or does not fit the network, or the base is
            not the one that the entry was trained on.
    """
    if not any_pixels:
        _refuse_other_pixels(entry)
    target = usable_device(device)
    ignore = tuple(ignore)
    if (base := base_of(entry)) is None:
        loaded = _load_whole(entry, build, extend, ignore)
    else:
        loaded = _load_onto(base, entry, build, extend, ignore)
    loaded.model.eval().requires_grad_(False).to(target)
    return loaded


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


def _load_whole(
    entry: ModelEntry,
    build: Callable[[str], Network],
    extend: Callable[[Network], None] | None,
    ignore: Iterable[str],
) -> LoadedModel[Network]:
    """The network of an entry that holds all its weights, on the CPU."""
    path = weights_path(entry)
    from_file = path.is_file()
    if not from_file and entry.seed is None:
        raise missing_weights(entry)
    sha256, state = _read_checked(entry, path) if from_file else ("", {})
    # Weights are drawn on the CPU; torch.manual_seed would reseed the accelerators as well.
    with torch.random.fork_rng(devices=[]):
        if entry.seed is not None:
            torch.default_generator.manual_seed(entry.seed)
        model = build(entry.config)
        if extend is not None:
            extend(model)
    if from_file:
        load_strict(model, state, str(path), ignore)
    else:
        sha256 = state_sha256(model.state_dict())
        _log.warning(
            "%s has no trained weights: seeded random ones (seed %d) stand in, "
            "so its masks and labels mean nothing",
            entry.name,
            entry.seed,
        )
    return LoadedModel(model=model, entry=entry, sha256=sha256, trained=from_file)


def _load_onto(
    base: ModelEntry,
    entry: ModelEntry,
    build: Callable[[str], Network],
    extend: Callable[[Network], None] | None,
    ignore: Iterable[str],
) -> LoadedModel[Network]:
    """The network of an entry whose file holds only what differs from its base, on the CPU."""
    path = weights_path(entry)
    if not path.is_file():
        raise missing_weights(entry)
    sha256, state = _read_checked(entry, path)
    loaded = _load_whole(base, build, None, ignore)
    if entry.base_sha256 not in (None, loaded.sha256):
        raise CheckpointError(
            f"{entry.name} was trained on other weights of {base.name} (sha256 "
            f"{entry.base_sha256}) than are there now ({loaded.sha256}): put those back, or train "
            "it again"
        )
    below = loaded.model.state_dict()
    if extend is not None:
        with torch.random.fork_rng(devices=[]):  # what is drawn here is overwritten
            extend(loaded.model)
    load_strict(loaded.model, {**below, **state}, str(path), ignore)
    both = hashlib.sha256(f"{loaded.sha256} {sha256}".encode()).hexdigest()
    return LoadedModel(model=loaded.model, entry=entry, sha256=both, trained=loaded.trained)


def _refuse_other_pixels(entry: ModelEntry) -> None:
    if (entry.mean, entry.std) != (PIXEL_MEAN, PIXEL_STD):
        raise InputError(
            f"the model manifest gives {entry.name} the mean {entry.mean} and std {entry.std}; "
            f"our networks take {PIXEL_MEAN} and {PIXEL_STD} only"
        )


def _read_checked(entry: ModelEntry, path: Path) -> tuple[str, dict[str, Tensor]]:
    """Hash and tensors of the file, which must be the one that is known, if any is."""
    sha256, expected = check_hash(path, entry.sha256)
    if expected is None:
        _log.warning(
            "no hash of %s is published or recorded, so it is used unchecked; "
            "`seg-assets models verify %s` records it",
            path,
            entry.name,
        )
    return sha256, open_state(path)


def usable_device(device: str | torch.device) -> torch.device:
    """Look whether a device is there.

    Raises:
        InputError: It is not.
    """
    try:
        usable = torch.device(device)
        torch.empty(1, device=usable)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"the device '{device}' cannot be used here ({str(error).splitlines()[0]}); "
            "use cpu, or set SEG_DEVICES to what this machine has"
        ) from error
    return usable


def _some(keys: list[str]) -> str:
    more = len(keys) - _NAMED_KEYS
    return ", ".join(keys[:_NAMED_KEYS]) + (f" and {more} more" if more > 0 else "")
