import dataclasses
import hashlib
import io
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.checkpoints import load_model, load_strict, read_state, state_sha256
from seg_assets.modeling.manifest import entry

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def small_network(config: str) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.Dropout()) if config == "demo" else nn.Linear(3, 2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def stand_in():
    return dataclasses.replace(entry("sam_demo"), file="demo/none.safetensors")


def a_file_entry(**changes):
    return dataclasses.replace(
        entry("sam_vit_b"), name="mine", url=None, file="mine.pth", sha256=None, **changes
    )


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


def test_strict_loading_fills_the_network():
    model = small_network("any")
    load_strict(model, STATE, "a.pth")
    assert torch.equal(model.state_dict()["weight"], STATE["weight"])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": STATE["weight"]}, r"1 missing \(bias\)"),
        (STATE | {"extra": torch.ones(1)}, r"1 unknown \(extra\)"),
        (STATE | {"bias": torch.ones(3)}, r"1 of wrong shape \(bias \(3,\) for \(2,\)\)"),
        (
            {f"module.{index}": torch.ones(1) for index in range(5)},
            r"2 missing \(weight, bias\), 5 unknown \(module.0, module.1, module.2 and 2 more\)",
        ),
    ],
)
def test_strict_loading_names_the_keys_that_differ(state, message):
    model = small_network("any")
    before = state_sha256(model.state_dict())
    with pytest.raises(CheckpointError, match=rf"a\.pth does not fit Linear: keys {message}"):
        load_strict(model, state, "a.pth")
    assert state_sha256(model.state_dict()) == before


def test_keys_that_are_known_to_differ_may():
    model = small_network("any")
    state = {"weight": STATE["weight"], "criterion.empty_weight": torch.ones(9)}
    load_strict(model, state, "a.pth", ignore=("criterion.*", "bias"))
    assert torch.equal(model.state_dict()["weight"], STATE["weight"])


def test_a_model_comes_ready_to_run(folder):
    path = saved(folder / "mine.pth", STATE)
    loaded = load_model(a_file_entry(), small_network)
    assert loaded.trained
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert torch.equal(loaded.model.state_dict()["weight"], STATE["weight"])


def test_unchecked_weights_are_said_to_be_so(folder, caplog):
    saved(folder / "mine.pth", STATE)
    load_model(a_file_entry(), small_network)
    assert "is used unchecked" in caplog.text


def test_a_damaged_file_is_refused(folder):
    saved(folder / "mine.pth", STATE)
    broken = dataclasses.replace(a_file_entry(), sha256="0" * 64)
    with pytest.raises(CheckpointError, match="is damaged or another file"):
        load_model(broken, small_network)


def test_missing_weights_say_how_to_get_them(folder):
    with pytest.raises(CheckpointError, match="run `seg-assets models download sam_vit_b`"):
        load_model(entry("sam_vit_b"), small_network)


def test_an_entry_with_another_mean_is_refused(folder, stand_in):
    other = dataclasses.replace(stand_in, mean=(0.0, 0.0, 0.0))
    with pytest.raises(InputError, match=r"gives sam_demo the mean \(0\.0, 0\.0, 0\.0\)"):
        load_model(other, small_network)


def test_stand_in_weights_are_random_but_always_the_same(folder, stand_in, caplog):
    first = load_model(stand_in, small_network)
    torch.rand(5)
    second = load_model(stand_in, small_network)
    other = load_model(dataclasses.replace(stand_in, seed=1), small_network)
    assert not first.trained
    assert first.sha256 == second.sha256 != other.sha256
    assert "sam_demo has no trained weights yet: seeded random ones (seed 0)" in caplog.text


def test_trained_weights_take_the_place_of_random_ones(folder, stand_in, caplog):
    (folder / "demo").mkdir()
    save_file(small_network("demo").state_dict(), folder / "demo" / "none.safetensors")
    assert load_model(stand_in, small_network).trained
    assert "random" not in caplog.text


@pytest.mark.parametrize("from_file", [False, True])
def test_loading_leaves_the_global_random_state_alone(folder, stand_in, from_file):
    saved(folder / "mine.pth", STATE)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(a_file_entry() if from_file else stand_in, small_network)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("device", ["tpu9", "cuda:99"])
def test_a_device_that_is_not_there_is_one_sentence(stand_in, device):
    with pytest.raises(InputError, match=f"the device '{device}' cannot be used here"):
        load_model(stand_in, small_network, device)


def test_the_hash_of_a_state_sees_names_types_shapes_and_values():
    state = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    variants = [
        state,
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "b": torch.zeros(1)},
    ]
    assert len({state_sha256(variant) for variant in variants}) == len(variants)
    assert state_sha256(state) == state_sha256(dict(reversed(state.items())))


def test_missing_weights_without_an_address_are_to_be_put_there(folder):
    with pytest.raises(CheckpointError, match=r"mine are not at .*mine\.pth: put the file there"):
        load_model(a_file_entry(), small_network)
