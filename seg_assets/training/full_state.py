"""The full state of a run: enough to go on as if it had never stopped.

`last/state.safetensors` holds every number that training changes, by name: trained parameters,
buffers, the running mean of the weights, what the optimizers remember. `last/state.json` holds the
rest. Learning rate, order of the data and chance follow from the step and need no state; frozen
parameters come from the base checkpoint, and their hash is in config.json. Nothing is pickled.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from seg_assets.errors import StoreError, TrainingError
from seg_assets.storage.files import explained
from seg_assets.storage.local_files import LocalFiles
from seg_assets.training.run_folder import RunFolder, write_tensors
from seg_assets.training.trainable import optimized_names
from seg_assets.training.weight_mean import WeightMean

LAST = "last"
_FRESH, _OLD = ".last.new", ".last.old"
_TENSORS, _NUMBERS = "state.safetensors", "state.json"
_FORMAT = 1


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: Optimizer steps that were taken or skipped.
        skipped: Those skipped because a gradient was not finite.
        empty: Those skipped because no sample had a target.
        left_out: Skipped or empty steps in a row, up to this one.
        seconds: Time spent, over all sessions.
    """

    step: int = 0
    skipped: int = 0
    empty: int = 0
    left_out: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Trained:
    """Everything that changes while a model is trained.

    Attributes:
        model: The model.
        parameters: Its trained parameters by name.
        optimizers: What changes them.
        scaler: Of the loss, under fp16.
        mean: Of the weights over the steps, or None.
        progress: How far it has come.
    """

    model: nn.Module
    parameters: dict[str, nn.Parameter]
    optimizers: Sequence[Optimizer]
    scaler: GradScaler
    mean: WeightMean | None
    progress: Progress = field(default_factory=Progress)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(iter(self.parameters.values())).device

    def weights_to_keep(self) -> AbstractContextManager[None]:
        """Let the model have the weights that are evaluated and saved: the means, if there are."""
        return nullcontext() if self.mean is None else self.mean.in_place()


def save_state(folder: RunFolder, trained: Trained) -> None:
    """Replace `last/` as a whole."""
    tensors, numbers = _collect(trained)
    files = folder.files
    files.remove_folder(_FRESH)
    fresh = folder.path / _FRESH
    with explained("create", str(fresh)):
        fresh.mkdir(parents=True)
    write_tensors(fresh / _TENSORS, tensors, {})
    files.write(f"{_FRESH}/{_NUMBERS}", json.dumps(numbers, indent=2).encode())
    _exchange(files)


def remove_leftovers(folder: RunFolder) -> None:
    """Remove what a process left that was killed while it saved; call it inside `hold`."""
    folder.files.remove_folder(_FRESH)
    if (folder.path / LAST / _NUMBERS).is_file():
        folder.files.remove_folder(_OLD)


def has_state(folder: RunFolder) -> bool:
    """Whether there is a state to go on from."""
    return _state_path(folder) is not None


def load_state(folder: RunFolder, trained: Trained) -> None:
    """Put the saved numbers into `trained`, which was built as for a fresh start.

    Raises:
        StoreError: The state is damaged.
        TrainingError: It is that of another model or optimizer.
    """
    path = _state_path(folder)
    if path is None:
        raise StoreError(f"{folder.path} holds no state to go on from")
    try:
        tensors = load_file(path / _TENSORS)
        numbers = json.loads((path / _NUMBERS).read_text(encoding="utf-8"))
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(
            f"{path} is damaged: start anew in another folder, "
            "from last.safetensors if the weights are to be kept"
        ) from error
    if numbers.get("format") != _FORMAT:
        raise StoreError(f"{path} was written by another version of seg_assets: go on with that")
    _distribute(tensors, numbers, trained, str(path))


def _exchange(files: LocalFiles) -> None:
    """Let the fresh state take the old one's place, then remove the old one."""
    if not files.swap_folders(_FRESH, LAST):
        # This disk cannot exchange folders: between the two renames `.last.old` is the state.
        files.remove_folder(_OLD)
        files.swap_folders(LAST, _OLD)
        files.swap_folders(_FRESH, LAST)
    files.remove_folder(_FRESH)
    files.remove_folder(_OLD)


def _state_path(folder: RunFolder) -> Path | None:
    for name in (LAST, _OLD):
        if (folder.path / name / _NUMBERS).is_file():
            return folder.path / name
    return None


def _collect(trained: Trained) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {f"model/{name}": value for name, value in _changing(trained).items()}
    if trained.mean is not None:
        tensors |= {f"mean/{name}": value for name, value in trained.mean.means.items()}
    remembered: dict[str, Any] = {}
    for key, value in _remembered(trained).items():
        if isinstance(value, Tensor):
            tensors[key] = value
        else:
            remembered[key] = value
    numbers = {
        "format": _FORMAT,
        "progress": vars(trained.progress),
        "optimizer": remembered,
        "scaler": trained.scaler.state_dict(),
    }
    return tensors, numbers


def _distribute(
    tensors: Mapping[str, Tensor], numbers: Mapping[str, Any], trained: Trained, where: str
) -> None:
    own = {f"model/{name}": value for name, value in _changing(trained).items()}
    if trained.mean is not None:
        own |= {f"mean/{name}": value for name, value in trained.mean.means.items()}
    saved = {key for key in tensors if not key.startswith("optimizer/")}
    differing = sorted(
        (own.keys() ^ saved)
        | {key for key in own.keys() & saved if own[key].shape != tensors[key].shape}
    )
    if differing:
        raise TrainingError(
            f"{where} is the state of another model: {len(differing)} tensors differ "
            f"({', '.join(differing[:3])}); start anew in another folder"
        )
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(tensors[key])
    remembered = {key: value for key, value in tensors.items() if key.startswith("optimizer/")}
    _remember(trained, {**remembered, **numbers["optimizer"]})
    trained.scaler.load_state_dict(numbers["scaler"])
    for name, value in numbers["progress"].items():
        setattr(trained.progress, name, value)


def _changing(trained: Trained) -> dict[str, Tensor]:
    """Trained parameters and all buffers that a checkpoint would hold, by name."""
    kept = trained.model.state_dict().keys()
    buffers = {name: b for name, b in trained.model.named_buffers() if name in kept}
    return {**trained.parameters, **buffers}


def _remembered(trained: Trained) -> dict[str, Any]:
    """The optimizers' memory as "optimizer/<number>/<key>/<parameter>"."""
    memory: dict[str, Any] = {}
    for number, optimizer in enumerate(trained.optimizers):
        names = optimized_names(trained.parameters, [optimizer])
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if not isinstance(value, (Tensor, bool, int, float, NoneType)):
                    raise TrainingError(
                        f"{type(optimizer).__name__} keeps a {type(value).__name__} as '{key}' of "
                        f"{names[index]}, which cannot be saved: use an optimizer that keeps "
                        "tensors and numbers only"
                    )
                memory[f"optimizer/{number}/{key}/{names[index]}"] = value
    return memory


def _remember(trained: Trained, saved: Mapping[str, Any]) -> None:
    for number, optimizer in enumerate(trained.optimizers):
        place = {name: i for i, name in enumerate(optimized_names(trained.parameters, [optimizer]))}
        state: dict[int, dict[str, Any]] = {}
        for path, value in saved.items():
            _, owner, key, name = path.split("/", 3)
            if int(owner) != number:
                continue
            if name not in place:
                raise TrainingError(
                    f"the saved state remembers {name}, which optimizer {number} does not train: "
                    "start anew in another folder"
                )
            # a loaded tensor may be mapped to its file, and the optimizer writes into it
            own = value.clone() if isinstance(value, Tensor) else value
            state.setdefault(place[name], {})[key] = own
        # The groups are the fresh optimizer's: the configuration decides them, not the file.
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
