"""Weights in half precision, as the manifest describes them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seg_assets.errors import CheckpointError, TrainingError
from seg_assets.modeling.state_file import read_description
from seg_assets.modeling.weights_file import sha256_of
from seg_assets.training.demo.shipping import write_half
from seg_assets.training.run_folder import RunFolder


def weights(folder: Path, **tensors: torch.Tensor) -> Path:
    RunFolder(folder).write_weights("best", tensors, {"step": 3})
    return folder / "best.safetensors"


def test_floats_are_halved_and_the_rest_is_kept(tmp_path: Path) -> None:
    values, counts = torch.tensor([0.1, -3.0]), torch.tensor([7])
    source = weights(tmp_path / "run", values=values, counts=counts)
    file = write_half(source, tmp_path / "models" / "small.safetensors")
    shipped = load_file(file.path)
    assert shipped["values"].dtype == torch.float16
    torch.testing.assert_close(shipped["values"].float(), values, rtol=2**-11, atol=0)
    assert torch.equal(shipped["counts"], counts)
    assert read_description(file.path) == {"step": 3}
    assert (file.sha256, file.bytes) == (sha256_of(file.path), file.path.stat().st_size)
    assert [p.name for p in file.path.parent.iterdir()] == ["small.safetensors"]


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    source = weights(tmp_path / "run", large=torch.tensor([7e4]))
    with pytest.raises(TrainingError, match="large does not fit half precision"):
        write_half(source, tmp_path / "small.safetensors")
    assert not (tmp_path / "small.safetensors").exists()


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no weights file"):
        write_half(tmp_path / "best.safetensors", tmp_path / "small.safetensors")
