from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.seem.adapter_config import AdapterConfig
from seg_assets.modeling.seem.adapters import adapter_names, attach_adapters
from seg_assets.modeling.seem.load import load_seem
from seg_assets.modeling.seem.model import Seem
from seg_assets_tests.modeling.seem.tiny import MANIFEST, install, tiny_seem

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


# --- adapters on a base -------------------------------------------------------------------------

TUNED = (
    MANIFEST.split("[wrong]")[0]
    .replace("[tiny]", "[tuned]")
    .replace("tiny.pt", "tuned.safetensors")
)
BASED = TUNED + 'base = "tiny"\n[tuned.adapters]\n'
CONFIG = AdapterConfig(init="kaiming_fan_out", backbone_width=4, decoder_width=4)
FIELDS = 'init = "kaiming_fan_out"\nbackbone_width = 4\ndecoder_width = 4\n'


def adapted() -> Seem:
    """The tiny SEEM with adapters that change its answers."""
    model = tiny_seem()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(8)
        attach_adapters(model, CONFIG)
    return model.eval().requires_grad_(False)


def install_tuned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor], fields: str
) -> Path:
    install(folder, monkeypatch, tiny_seem().state_dict())
    with (folder / "manifest.toml").open("a") as file:
        file.write(fields)
    path = folder / "weights" / "tuned.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


def only_adapters(model: Seem) -> dict[str, torch.Tensor]:
    names = adapter_names(model)
    return {key: value for key, value in model.state_dict().items() if key in names}


def answer(model: Seem) -> torch.Tensor:
    image = torch.arange(3 * 40 * 48).reshape(3, 40, 48).remainder(251).to(torch.uint8)
    table = torch.eye(5, 64)
    return model.decode(model.encode_image(image), table).logits


def test_a_small_file_of_adapters_gives_the_trained_network_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = adapted()
    install_tuned(folder, monkeypatch, only_adapters(model), BASED + FIELDS)
    loaded = load_seem("tuned")
    assert loaded.trained
    assert torch.equal(answer(loaded.model), answer(model))
    assert not torch.equal(answer(loaded.model), answer(load_seem("tiny").model))


def test_a_file_that_holds_the_head_as_well_replaces_that_of_the_base(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = adapted()
    model.predictor.level_embed.weight += 1
    changed = only_adapters(model) | {LEVEL: model.state_dict()[LEVEL]}
    install_tuned(folder, monkeypatch, changed, BASED + FIELDS)
    assert torch.equal(answer(load_seem("tuned").model), answer(model))


def test_a_whole_file_may_hold_adapters_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted()
    alone = BASED.replace('base = "tiny"\n', "") + FIELDS
    install_tuned(folder, monkeypatch, model.state_dict(), alone)
    assert torch.equal(answer(load_seem("tuned").model), answer(model))


def test_adapters_that_the_file_lacks_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = only_adapters(adapted())
    del state[min(state)]
    install_tuned(folder, monkeypatch, state, BASED + FIELDS)
    with pytest.raises(
        CheckpointError, match="tuned.safetensors does not fit Seem: keys 1 missing"
    ):
        load_seem("tuned")


def test_adapters_of_another_width_do_not_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = FIELDS.replace("decoder_width = 4", "decoder_width = 8")
    install_tuned(folder, monkeypatch, only_adapters(adapted()), BASED + other)
    with pytest.raises(CheckpointError, match="of wrong shape"):
        load_seem("tuned")


def test_upstreams_backbone_adapters_read_images_of_any_size(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, model = AdapterConfig(geometry="upstream", decoder=False), tiny_seem()
    attach_adapters(model, config)
    fields = 'geometry = "upstream"\ndecoder = false\n'
    install_tuned(folder, monkeypatch, only_adapters(model), BASED + fields)
    features = load_seem("tuned").model.encode_image(torch.zeros(3, 70, 40, dtype=torch.uint8))
    assert features.padded_size == (128, 64)
