from pathlib import Path

import pytest
import torch

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.seem.load import load_seem
from seg_assets_tests.modeling.seem.tiny import install, tiny_seem

LEVEL = "sem_seg_head.predictor.level_embed.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_upstreams_extra_keys_are_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tiny_seem().state_dict()
    extra = {"dilation_kernel": torch.ones(1, 1, 3, 3), "criterion.empty_weight": torch.ones(134)}
    install(folder, monkeypatch, state | extra)
    loaded = load_seem("tiny")
    assert loaded.trained
    assert not loaded.model.training
    for key, value in loaded.model.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_a_missing_weight_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = dict(tiny_seem().state_dict())
    del state[LEVEL]
    path = install(folder, monkeypatch, state)
    with pytest.raises(CheckpointError, match=rf"{path}.*missing.*{LEVEL}"):
        load_seem("tiny")


def test_an_unknown_weight_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tiny_seem().state_dict() | {"backbone.adopter_layer.weight": torch.ones(1)}
    install(folder, monkeypatch, state)
    with pytest.raises(CheckpointError, match=r"unknown.*backbone\.adopter_layer\.weight"):
        load_seem("tiny")


def test_a_weight_of_another_shape_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tiny_seem().state_dict() | {LEVEL: torch.ones(4, 64)}
    install(folder, monkeypatch, state)
    with pytest.raises(CheckpointError, match=rf"wrong shape.*{LEVEL} \(4, 64\) for \(3, 64\)"):
        load_seem("tiny")


def test_an_unknown_configuration_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder, monkeypatch, {})
    with pytest.raises(InputError, match="configuration 'huge'; choose one of: focal_l, demo"):
        load_seem("wrong")


def test_a_sam_is_no_seem() -> None:
    with pytest.raises(InputError, match="'sam_vit_b' is no seem model"):
        load_seem("sam_vit_b")


def test_the_demo_model_is_the_same_each_time() -> None:
    first, second = (load_seem("seem_demo") for _ in range(2))
    assert first.sha256 == second.sha256
    weights = second.model.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in first.model.state_dict().items())
