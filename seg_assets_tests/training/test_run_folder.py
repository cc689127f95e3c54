import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from seg_assets.errors import StoreError, TrainingError
from seg_assets.training.run_folder import RunFolder


def test_rows_come_back_and_what_is_no_number_is_null(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.add_row({"step": 1, "terms": {"dice": float("nan")}, "list": [1.5, float("inf")]})
    folder.add_row({"step": 2, "kind": "train"})
    assert folder.rows() == [
        {"step": 1, "terms": {"dice": None}, "list": [1.5, None]},
        {"step": 2, "kind": "train"},
    ]


def test_a_row_that_was_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"ste')
    assert [row["step"] for row in folder.rows()] == [1, 2]
    folder.forget_rows_after(1)
    folder.add_row({"step": 2, "again": True})
    assert folder.rows() == [{"step": 1}, {"step": 2, "again": True}]


def test_damaged_rows_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("nonsense\n")
    with pytest.raises(StoreError, match=r"metrics\.jsonl is damaged"):
        RunFolder(tmp_path).rows()


def test_a_damaged_configuration_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(StoreError, match=r"config\.json is damaged"):
        RunFolder(tmp_path).config()


def test_weights_keep_their_description_inside(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_weights("best", {"a": torch.arange(3.0)}, {"step": 7, "table": ("x", "y")})
    said = folder.weights_description("best")
    assert said is not None
    assert (said["step"], said["table"]) == (7, ["x", "y"])
    with safe_open(tmp_path / "best.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["seg_assets"]) == {"step": 7, "table": ["x", "y"]}


def test_a_kill_between_weights_and_description_is_mended(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_weights("best", {"a": torch.zeros(3)}, {"step": 1})
    old = (tmp_path / "best.json").read_bytes()
    folder.write_weights("best", {"a": torch.ones(3)}, {"step": 2})
    new = (tmp_path / "best.json").read_bytes()
    (tmp_path / "best.json").write_bytes(old)
    said = folder.weights_description("best")
    assert said is not None
    assert said["step"] == 2
    assert (tmp_path / "best.json").read_bytes() == new
    assert folder.weights_description("last") is None


def test_weights_of_someone_else_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(TrainingError, match="is damaged"):
        RunFolder(tmp_path).weights_description("best")
    save_file({"a": torch.zeros(1)}, tmp_path / "best.safetensors")
    with pytest.raises(TrainingError, match="was not written by a run"):
        RunFolder(tmp_path).weights_description("best")


def test_tied_and_strided_tensors_can_be_written(tmp_path: Path) -> None:
    tied = torch.arange(6.0).reshape(2, 3)
    weights = {"one": tied, "other": tied, "turned": tied.t()}
    RunFolder(tmp_path).write_weights("last", weights, {})
    for name, tensor in load_file(tmp_path / "last.safetensors").items():
        assert torch.equal(tensor, weights[name])


def test_only_plain_values_describe_weights(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is a int64: descriptions and metrics"):
        RunFolder(tmp_path).write_weights("last", {}, {"step": np.int64(3)})  # type: ignore[dict-item]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        RunFolder(tmp_path / "file" / "run").add_row({"step": 1})
