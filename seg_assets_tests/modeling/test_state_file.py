import hashlib
import io
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from seg_assets.errors import CheckpointError
from seg_assets.modeling.state_file import read_state

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def saved(path, content, **options):
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("old_format", [False, True])
def test_torch_files_give_their_tensors(tmp_path, old_format):
    path = saved(tmp_path / "a.pth", STATE, _use_new_zipfile_serialization=not old_format)
    state = read_state(path)
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[key], STATE[key]) for key in STATE)


def test_safetensors_files_give_their_tensors(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    assert torch.equal(read_state(tmp_path / "a.safetensors")["weight"], STATE["weight"])


@pytest.mark.parametrize("wrapper", ["model", "state_dict"])
def test_wrapped_weights_are_unwrapped(tmp_path, wrapper):
    path = saved(tmp_path / "a.pt", {wrapper: STATE, "step": 3})
    assert read_state(path).keys() == STATE.keys()


def test_the_hash_is_checked_before_the_file_is_opened(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(b"\x80 whatever")
    found, expected = (hashlib.sha256(data).hexdigest() for data in (path.read_bytes(), b"x"))
    with pytest.raises(CheckpointError, match=f"its sha256 is {found}, expected {expected}"):
        read_state(path, expected)


class Trap:
    """Opens a file when unpickled: code in a checkpoint must never run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def whole_zip():
    buffer = io.BytesIO()
    torch.save(STATE, buffer)
    return buffer.getvalue()


def other_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "no weights")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pth", b"", "is empty, not a weights file"),
        ("a.pth", b"<!DOCTYPE html><html>", "is a web page, not a weights file"),
        ("a.pth", b'{"error": "gated"}', "is a JSON text"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("a.pth", whole_zip()[:-200], "is truncated or damaged"),
        ("a.pth", whole_zip()[:40], "is truncated or damaged"),
        ("a.pth", other_zip(), "is truncated or damaged"),
        ("a.pth", b"\x80\x02", "damaged"),
        ("a.pth", b"not weights at all", "damaged"),
        ("a.safetensors", b"\x05\x00", "is truncated or damaged"),
        ("a.safetensors", whole_zip(), "is truncated or damaged"),
    ],
)
def test_files_that_are_no_weights_are_one_sentence(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as raised:
        read_state(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_code_in_a_pickle_never_runs(tmp_path):
    trace = tmp_path / "it_ran"
    for name, write in [
        ("raw.pth", lambda file: pickle.dump({"weight": Trap(trace)}, file, protocol=2)),
        ("zip.pth", lambda file: torch.save({"weight": Trap(trace)}, file)),
    ]:
        with (tmp_path / name).open("wb") as file:
            write(file)
        with pytest.raises(CheckpointError, match="more than plain tensors"):
            read_state(tmp_path / name)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "holds no table of tensors"),
        ({}, "holds no table of tensors"),
        ({"weight": torch.ones(1), "step": 3}, "'step' is a int, not a tensor"),
    ],
)
def test_other_contents_are_no_checkpoint(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message):
        read_state(saved(tmp_path / "a.pth", content))


def test_no_file_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="there is no weights file at"):
        read_state(tmp_path)
