"""The weights as they ship with the project: half precision, one small file per model."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from seg_assets.errors import TrainingError
from seg_assets.modeling.state_file import DESCRIPTION, read_description, read_state
from seg_assets.modeling.weights_file import sha256_of
from seg_assets.storage.local_files import LocalFiles
from seg_assets.training.run_folder import write_tensors


@dataclass(frozen=True)
class ShippedFile:
    """A weights file as the manifest describes it: its place, hash and size in bytes."""

    path: Path
    sha256: str
    bytes: int


def write_half(weights: Path, target: Path) -> ShippedFile:
    """Write a run's weights anew in half precision; loading brings them back to single.

    Args:
        weights: A run's .safetensors file.
        target: File to write; its folder is made.

    Raises:
        CheckpointError: There are no such weights.
        TrainingError: A weight is too large for half precision.
        StoreError: The target cannot be written.
    """
    state = read_state(weights)
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    too_large = next((k for k, v in half.items() if not torch.isfinite(v).all()), None)
    if too_large is not None:
        raise TrainingError(
            f"{weights}: {too_large} does not fit half precision: ship the file as it is"
        )
    files = LocalFiles(str(target.parent))
    scratch = files.scratch_file(target.name)
    try:
        write_tensors(scratch, half, {DESCRIPTION: json.dumps(read_description(weights))})
        files.publish(scratch, target.name)
    finally:
        scratch.unlink(missing_ok=True)
    return ShippedFile(target, sha256_of(target), target.stat().st_size)
