"""Low-rank updates: nothing at the start, merged without a trace."""

import sys

import pytest
import torch
from torch import Tensor

import seg_assets.modeling.torchvision_cpu  # noqa: F401  (before peft, which imports torchvision)
from seg_assets.errors import InputError
from seg_assets.modeling.seem.adapter_config import LoraConfig
from seg_assets.modeling.seem.lora import attach_lora, lora_names, merge_lora, merged_weights
from seg_assets.modeling.seem.model import Seem
from seg_assets_tests.modeling.seem.tiny import tiny_seem

BOTH = LoraConfig(rank=2, backbone=True)


@pytest.fixture
def _peft() -> None:
    pytest.importorskip("peft", reason="LoRA is an extra: pip install 'seg_assets[lora]'")


def logits(model: Seem) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (3, 64, 64), generator=generator).to(torch.uint8)
    table = torch.randn(5, model.config.hidden, generator=generator)
    return model.decode(model.encode_image(image), table).logits


def moved(model: Seem) -> None:
    generator = torch.Generator().manual_seed(2)
    for name, parameter in model.named_parameters():
        if name in lora_names(model):
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.usefixtures("_peft")
def test_updates_are_zero_at_the_start() -> None:
    model = tiny_seem()
    before = logits(model)
    attach_lora(model, BOTH)
    assert torch.allclose(logits(model), before, atol=1e-6)


@pytest.mark.usefixtures("_peft")
@pytest.mark.parametrize("backbone", [False, True])
def test_updates_lie_on_attention_and_feed_forward_layers(backbone: bool) -> None:
    model = tiny_seem()
    attach_lora(model, LoraConfig(rank=2, backbone=backbone))
    assert any(name.startswith("backbone") for name in lora_names(model)) == backbone
    touched = {key.rsplit(".", 1)[0] for key in merged_weights(model) if "predictor" in key}
    decoder = "sem_seg_head.predictor.transformer_"
    wanted = set()
    for i in range(model.config.decoder_layers):
        cross = f"{decoder}cross_attention_layers.{i}.multihead_attn"
        own = f"{decoder}self_attention_layers.{i}.self_attn"
        wanted |= {cross, f"{cross}.out_proj", own, f"{own}.out_proj"}
        wanted |= {f"{decoder}ffn_layers.{i}.linear{k}" for k in (1, 2)}
    assert touched == wanted


@pytest.mark.usefixtures("_peft")
def test_merging_keeps_the_answers_and_gives_plain_keys_back() -> None:
    model = tiny_seem()
    keys, before = set(model.state_dict()), logits(model)
    attach_lora(model, BOTH)
    moved(model)
    updated = logits(model)
    assert float((updated - before).abs().max()) > 0.1
    merge_lora(model)
    assert set(model.state_dict()) == keys
    # adding the product of two factors to a weight rounds differently
    assert torch.allclose(logits(model), updated, atol=1e-3)
    attach_lora(model, BOTH)  # again, without complaint


@pytest.mark.usefixtures("_peft")
def test_merged_weights_on_the_base_are_the_updated_network() -> None:
    model = tiny_seem()
    attach_lora(model, BOTH)
    moved(model)
    weights, updated = merged_weights(model), logits(model)
    plain = tiny_seem()
    result = plain.load_state_dict(weights, strict=False)
    assert not result.unexpected_keys
    assert torch.allclose(logits(plain), updated, atol=1e-3)
    assert lora_names(model)  # the model keeps its updates


@pytest.mark.usefixtures("_peft")
def test_updates_are_attached_once() -> None:
    model = tiny_seem()
    attach_lora(model, BOTH)
    with pytest.raises(InputError, match="merge them"):
        attach_lora(model, BOTH)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"seg_assets\[lora\]"):
        attach_lora(tiny_seem(), BOTH)
