"""Adapters: sizes (S7, S8), places, start values (S9), key names, and nothing without them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.errors import InputError
from seg_assets.modeling.seem.adapter_config import AdapterConfig
from seg_assets.modeling.seem.adapters import (
    LayerAdapter,
    UpstreamBlockAdapter,
    UpstreamHeadAdapter,
    adapter_names,
    attach_adapters,
    detach_adapters,
)
from seg_assets.modeling.seem.config import FOCAL_L
from seg_assets.modeling.seem.model import Seem
from seg_assets_tests.modeling.seem.tiny import TINY, tiny_seem

UPSTREAM = AdapterConfig(geometry="upstream")
# upstream's head adapters want mask embeddings as wide as the queries
WIDE = replace(TINY, mask_dim=TINY.hidden)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def numbers(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def everything(model: Seem, side: int = 64) -> list[Tensor]:
    """Logits and mask embeddings of all heads for one image."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (3, side, side), generator=generator).to(torch.uint8)
    table = torch.randn(5, model.config.hidden, generator=generator)
    prediction = model.decode(model.encode_image(image), table, auxiliary=True)
    heads = [prediction, *prediction.auxiliary]
    return [head.logits for head in heads] + [head.mask_embeddings for head in heads]


def difference(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def test_upstream_block_adapter_has_the_published_size_s7() -> None:
    with torch.device("meta"):
        assert numbers(UpstreamBlockAdapter(192)) == 940_416
        assert numbers(UpstreamBlockAdapter(64)) == int(25.5 * 64**2 + 2 * 64)


def test_upstream_block_adapter_gates_convolves_skips_and_normalises_s7() -> None:
    adapter, x = UpstreamBlockAdapter(8), torch.randn(2, 4, 6, 8)
    for parameter in adapter.parameters():
        nn.init.normal_(parameter, std=0.5)
    weights = {name: parameter.detach() for name, parameter in adapter.named_parameters()}
    mean = x.mean((1, 2))  # over the cells, per channel
    gate = torch.sigmoid(
        (mean @ weights["gate_down.weight"].T).relu() @ weights["gate_up.weight"].T
    )
    gated = (x * gate[:, None, None]).permute(0, 3, 1, 2)
    small = F.conv2d(gated, weights["down.weight"], stride=2, padding=1).relu()
    assert small.shape == (2, 8, 2, 3)
    large = F.conv_transpose2d(small, weights["up.weight"], stride=2, padding=1).relu()
    wanted = F.layer_norm(
        (gated + large).permute(0, 2, 3, 1), (8,), weights["norm.weight"], weights["norm.bias"]
    )
    assert torch.allclose(adapter(x), wanted, atol=1e-5)


def test_decoder_adapters_are_added_or_normalised_s8() -> None:
    x = torch.randn(2, 3, 8)
    layer = LayerAdapter(8, 4, 8, norm=False, dropout=0.1).eval()
    wanted = x + layer.up(layer.down(x).relu())
    assert torch.allclose(layer(x), wanted, atol=1e-6)
    head = UpstreamHeadAdapter(8, dropout=0.1).eval()
    nn.init.constant_(head.scale, 3.0)
    inner = head.bottleneck
    branch = inner.up(inner.down(F.layer_norm(x, (8,))).relu())
    # no residual: it is added to the mask embedding
    assert torch.allclose(head(x), F.layer_norm(3.0 * branch, (8,)), atol=1e-5)


def test_upstream_adapters_of_focal_l_have_the_published_sizes_s7_s8() -> None:
    with torch.device("meta"):
        model = Seem(FOCAL_L)
        attach_adapters(model, UPSTREAM)
        decoder = model.predictor
    backbone = [p for n, p in model.backbone.named_parameters() if "adopter_layer" in n]
    assert sum(p.numel() for p in backbone) == 400_489_728
    lists = [
        decoder.transformer_cross_attention_layers_adapters,
        decoder.transformer_self_attention_layers_adapters,
        decoder.transformer_ffn_layers_adapters,
    ]
    assert [len(adapters) for adapters in lists] == [9, 9, 9]
    assert {numbers(adapter) for adapters in lists for adapter in adapters} == {262_912}
    heads = decoder.predictions_heads_mask_embs_adapters
    assert len(heads) == 10
    assert {numbers(head) for head in heads} == {264_961}
    total = sum(p.numel() for n, p in model.named_parameters() if "_adapters." in n)
    assert total == 9_748_234


def test_compact_adapters_of_focal_l_have_the_stated_sizes() -> None:
    with torch.device("meta"):
        model = Seem(FOCAL_L)
        attach_adapters(model, AdapterConfig())
    names = adapter_names(model)
    sizes = {n: p.numel() for n, p in model.named_parameters() if n in names}
    assert sum(v for n, v in sizes.items() if n.startswith("backbone")) == 1_217_664
    assert sum(v for n, v in sizes.items() if "predictor" in n) == 1_270_432


def test_compact_adapters_change_nothing_at_the_start_s9() -> None:
    model = tiny_seem()
    before = everything(model)
    attach_adapters(model, AdapterConfig())
    assert difference(before, everything(model.eval())) < 1e-6


@pytest.mark.parametrize(
    "config",
    [
        UPSTREAM,
        AdapterConfig(init="kaiming_fan_out"),
        AdapterConfig(geometry="upstream", init="kaiming_fan_out"),
    ],
    ids=["upstream", "kaiming", "both"],
)
def test_other_starts_disturb_the_network_s9(config: AdapterConfig) -> None:
    model = Seem(WIDE).eval()
    before = everything(model)
    attach_adapters(model, config)
    assert difference(before, everything(model.eval())) > 1e-3


def test_kaiming_start_has_the_published_spread_s9() -> None:
    # std of a layer = sqrt(2 / fan out)
    adapter = LayerAdapter(512, 256, 512, norm=False, dropout=0.1)
    model = Seem(WIDE)
    attach_adapters(model, AdapterConfig(geometry="upstream", init="kaiming_fan_out"))
    down = model.predictor.transformer_ffn_layers_adapters[0].down
    assert float(down.weight.std()) == pytest.approx((2 / (WIDE.hidden // 2)) ** 0.5, rel=0.1)
    assert adapter.down.weight.shape == (256, 512)


def test_without_adapters_a_model_has_no_key_of_them_s3() -> None:
    keys = Seem(TINY).state_dict()
    assert not [key for key in keys if "adapters" in key or "adopter" in key]


def test_detaching_gives_the_same_model_back() -> None:
    model = Seem(WIDE).eval()
    keys, before = list(model.state_dict()), everything(model)
    attach_adapters(model, AdapterConfig(geometry="upstream", init="kaiming_fan_out"))
    assert model.divisor == 64
    detach_adapters(model)
    assert list(model.state_dict()) == keys
    assert difference(before, everything(model)) == 0
    assert model.divisor == 32


class Recorder(nn.Module):
    """Keeps what it was given and answers with zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.clone())
        return torch.zeros_like(x)


def test_a_block_adapter_stands_between_modulation_and_its_norm() -> None:
    block = tiny_seem().backbone.layers[0].blocks[0]
    x = torch.randn(1, 4, 4, TINY.embed)
    block.adopter_layer = recorder = Recorder()
    got = block(x)
    assert torch.equal(recorder.seen[0], block.modulation(x))
    # norm, layer scale and residual come after it
    middle = x + block.gamma_1 * block.norm1(torch.zeros_like(x))
    assert torch.allclose(got, middle + block.gamma_2 * block.norm2(block.mlp(middle)), atol=1e-6)


def test_decoder_adapters_follow_each_part_and_each_head() -> None:
    model = tiny_seem()
    attach_adapters(model, AdapterConfig(backbone=False))
    decoder, layers = model.predictor, TINY.decoder_layers
    lists = {
        name: nn.ModuleList(Recorder() for _ in range(count))
        for name, count in (
            ("transformer_cross_attention_layers_adapters", layers),
            ("transformer_self_attention_layers_adapters", layers),
            ("transformer_ffn_layers_adapters", layers),
            ("predictions_heads_mask_embs_adapters", layers + 1),
        )
    }
    for name, adapters in lists.items():
        setattr(decoder, name, adapters)
    model.predictor.predictions_heads_mask_embs_adapters = nn.ModuleList(
        _Numbered(i, TINY.mask_dim) for i in range(layers + 1)
    )
    *_, last = embeddings = everything(model)[layers + 1 :]
    assert all(len(r.seen) == 1 for name in list(lists)[:3] for r in lists[name])
    # head 0 comes before the first layer; the last one is first in the list
    plain = decoder.mask_embed(decoder.decoder_norm(torch.zeros(1, 1, TINY.hidden)))
    assert torch.allclose(embeddings[0][0, 0], plain[0, 0] + layers, atol=1e-5)
    assert torch.allclose(last[0, 0], plain[0, 0] + layers - 1, atol=1e-5)
    start = decoder.mask_embed(decoder.decoder_norm(decoder.query_feat.weight[:1]))
    assert torch.allclose(embeddings[1][0, 0], start[0], atol=1e-5)  # + 0


class _Numbered(nn.Module):
    def __init__(self, number: int, width: int) -> None:
        super().__init__()
        self.number, self.width = number, width

    def forward(self, x: Tensor) -> Tensor:
        return x.new_full((*x.shape[:-1], self.width), float(self.number))


def test_layer_adapters_add_to_their_input_and_head_adapters_normalise() -> None:
    layer = LayerAdapter(8, 4, 8, norm=False, dropout=0.0)
    nn.init.zeros_(layer.up.weight)
    nn.init.ones_(layer.up.bias)
    x = torch.randn(3, 8)
    assert torch.allclose(layer(x), x + 1)
    head = UpstreamHeadAdapter(8, dropout=0.0).eval()
    assert float(head.scale) == 1
    assert torch.allclose(head(x).mean(-1), torch.zeros(3), atol=1e-6)


def test_an_odd_feature_map_is_refused_by_upstream_geometry_s10() -> None:
    adapter = UpstreamBlockAdapter(8)
    assert adapter(torch.randn(1, 4, 6, 8)).shape == (1, 4, 6, 8)
    with pytest.raises(InputError, match=r"7x4 cells.*multiples of 64"):
        adapter(torch.randn(1, 4, 7, 8))


def test_adapters_are_attached_once() -> None:
    model = tiny_seem()
    attach_adapters(model, AdapterConfig(decoder=False))
    with pytest.raises(InputError, match="detach them"):
        attach_adapters(model, AdapterConfig())


def test_upstream_head_adapters_need_equal_widths() -> None:
    with pytest.raises(InputError, match="16 and 64"):
        attach_adapters(tiny_seem(), UPSTREAM)
