import dataclasses
import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.checkpoints import load_model, load_strict, state_sha256
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
    return dataclasses.replace(
        entry("sam_demo"), file="demo/none.safetensors", sha256=None, bytes=None, seed=0
    )


def a_file_entry(**changes):
    return dataclasses.replace(
        entry("sam_vit_b"), name="mine", url=None, file="mine.pth", sha256=None, **changes
    )


def saved(path, content, **options):
    torch.save(content, path, **options)
    return path


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
    assert "sam_demo has no trained weights: seeded random ones (seed 0)" in caplog.text


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


# --- a file on the weights of another entry ----------------------------------------------------

BASE = """
[base]
title = "whole"
kind = "sam"
config = "any"
file = "base.pth"
licence = "Apache-2.0"
input_size = 64
input_side = "long"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
"""


def add_adapter(model: nn.Module) -> None:
    model.adapter = nn.Linear(2, 2, bias=False)


@pytest.fixture
def tuned(folder):
    """A base of its own and an entry on it, whose file holds the adapter alone."""
    (folder / "manifest.toml").write_text(BASE)
    saved(folder / "base.pth", STATE)
    saved(folder / "mine.pth", {"adapter.weight": torch.eye(2)})
    return a_file_entry(config="any", base="base")


def test_what_training_added_lies_on_the_weights_of_the_base(folder, tuned):
    loaded = load_model(tuned, small_network, extend=add_adapter)
    found = loaded.model.state_dict()
    assert found.keys() == {*STATE, "adapter.weight"}
    assert torch.equal(found["weight"], STATE["weight"])
    assert torch.equal(found["adapter.weight"], torch.eye(2))
    assert (loaded.entry, loaded.trained) == (tuned, True)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_what_training_changed_replaces_the_weights_of_the_base(folder, tuned):
    saved(folder / "mine.pth", {"bias": torch.full((2,), 7.0)})
    found = load_model(tuned, small_network).model.state_dict()
    assert found["bias"].tolist() == [7, 7]
    assert torch.equal(found["weight"], STATE["weight"])


def test_the_hash_covers_the_file_and_its_base(folder, tuned):
    hashes = set()
    for base, own in [(0, 0), (1, 0), (0, 1)]:
        saved(folder / "base.pth", {key: value + base for key, value in STATE.items()})
        saved(folder / "mine.pth", {"adapter.weight": torch.eye(2) + own})
        hashes.add(load_model(tuned, small_network, extend=add_adapter).sha256)
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"bias": torch.ones(2)}, r"mine\.pth does not .* 1 missing \(adapter\.weight\)"),
        ({"adapter.weight": torch.eye(2), "x": torch.ones(1)}, r"mine\.pth .* 1 unknown \(x\)"),
        ({"adapter.weight": torch.ones(3, 3)}, r"1 of wrong shape \(adapter\.weight \(3, 3\) for"),
    ],
)
def test_a_file_on_a_base_holds_all_that_was_added_and_nothing_unknown(
    folder, tuned, state, message
):
    saved(folder / "mine.pth", state)
    with pytest.raises(CheckpointError, match=message):
        load_model(tuned, small_network, extend=add_adapter)


def test_a_base_without_weights_is_named(folder, tuned):
    (folder / "base.pth").unlink()
    with pytest.raises(CheckpointError, match=r"the weights of base are not at .*base\.pth"):
        load_model(tuned, small_network, extend=add_adapter)


def test_on_a_base_the_global_random_state_stays_as_it_was(folder, tuned):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(tuned, small_network, extend=add_adapter)
    assert torch.equal(torch.rand(3), expected)
