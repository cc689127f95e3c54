"""The encoder's passes against the segment-anything package's own, in float64 and in float32.

The weights are random; the relative positions and the position embedding, which start as zeros, are
drawn too. The matrix library may round differently when a matrix is cut into blocks, so float32 is
held to the distance from float64 that the package keeps itself.
"""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from seg_assets.modeling.mask_models.sam import encoder_passes, image_encoder
from seg_assets.modeling.mask_models.sam.encoder_passes import encode_batch, encode_in_bands
from seg_assets.modeling.mask_models.sam.image_encoder import EncoderRunner, supports
from seg_assets.modeling.mask_models.sam.relative_attention import (
    PositionTables,
    attend,
    attend_folded,
    position_logits,
    position_table,
)
from seg_assets.modeling.sam import DEMO, SAM_CONFIGS, TINY, SamConfig, build_sam

# isort: split
from segment_anything.modeling import ImageEncoderViT

# 16 x 16 patches in windows of 5, 7 or 16: the last window holds 1, 2 or all rows of its own.
CONFIGS = {
    "windows of 5": TINY,
    "windows of 7": replace(TINY, window_size=7, encoder_depth=3),
    "windows that fit": replace(TINY, window_size=8),
    "a window wider than the image": replace(TINY, window_size=20),
    "no relative positions": replace(TINY, use_rel_pos=False),
    "head of 12 channels": replace(TINY, encoder_dim=48, encoder_heads=4),
}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Bands of 3 patch rows and scores of one row, so that the small images need several."""
    monkeypatch.setattr(encoder_passes, "_PATCHES_PER_BAND", 48)
    monkeypatch.setattr(encoder_passes, "_SCORES_AT_ONCE", 1)
    monkeypatch.setattr(image_encoder, "_FEW_SCORES", 0)


def _encoder(config: SamConfig = TINY) -> Any:
    torch.manual_seed(7)
    encoder = build_sam(config).image_encoder
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "rel_pos" in name or "pos_embed" in name or name.endswith("bias"):
                parameter.normal_(std=0.3)
    return encoder


def _pixels(number: int = 1, config: SamConfig = TINY) -> torch.Tensor:
    generator = torch.Generator().manual_seed(number)
    return torch.randn(number, 3, config.image_size, config.image_size, generator=generator)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("encode", [encode_in_bands, encode_batch])
def test_in_float64_a_pass_is_the_packages_encoder(name: str, encode):
    encoder, pixels = _encoder(CONFIGS[name]).double(), _pixels(2).double()
    with torch.inference_mode():
        torch.testing.assert_close(encode(encoder, pixels), encoder(pixels), rtol=0, atol=1e-12)


@pytest.mark.parametrize("encode", [encode_in_bands, encode_batch])
def test_a_projection_without_bias_pads_windows_with_zeros(encode):
    encoder = _encoder().double()
    for block in encoder.blocks:
        block.attn.qkv.bias = None
    pixels = _pixels().double()
    with torch.inference_mode():
        torch.testing.assert_close(encode(encoder, pixels), encoder(pixels), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("encode", [encode_in_bands, encode_batch])
def test_in_float32_a_pass_errs_as_little_as_the_package(name: str, encode):
    encoder, pixels = _encoder(CONFIGS[name]), _pixels()
    with torch.inference_mode():
        exact = copy.deepcopy(encoder).double()(pixels.double())
        package = (encoder(pixels) - exact).abs()
        ours = (encode(encoder, pixels) - exact).abs()
    assert ours.max() < 2 * package.max() < 2e-5
    assert ours.mean() < 1.25 * package.mean()


@pytest.mark.parametrize("config", [TINY, DEMO])
def test_the_runner_gives_a_batch_as_its_images(config: SamConfig, monkeypatch):
    encoder, pixels = _encoder(config), _pixels(3, config)
    for few_scores in (0, 1 << 30):  # in bands, and by the module itself
        monkeypatch.setattr(image_encoder, "_FEW_SCORES", few_scores)
        run = EncoderRunner(encoder)
        features = run(pixels)
        assert features.dtype == torch.float32
        for image, answer in zip(pixels.split(1), features.split(1), strict=True):
            assert torch.equal(run(image), answer)
        with torch.inference_mode():
            torch.testing.assert_close(features, encoder(pixels), rtol=0, atol=1e-5)


def test_a_batch_at_once_gives_what_its_images_give():
    encoder, pixels = _encoder(), _pixels(3)
    with torch.inference_mode():
        singles = torch.cat([encode_batch(encoder, image) for image in pixels.split(1)])
        torch.testing.assert_close(encode_batch(encoder, pixels), singles, rtol=0, atol=1e-5)


def test_the_shipped_size_is_small_enough_for_the_module_itself(monkeypatch):
    monkeypatch.undo()
    for config in (TINY, DEMO):
        encoder, pixels = _encoder(config), _pixels(1, config)
        with torch.inference_mode():
            assert torch.equal(EncoderRunner(encoder)(pixels), encoder(pixels))


class _LargestTensor(TorchDispatchMode):
    """Notes the most elements that any operation's result has storage for."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        for result in results if isinstance(results, (tuple, list)) else (results,):
            if isinstance(result, torch.Tensor) and result.numel():
                self.elements = max(self.elements, result.untyped_storage().nbytes() // 4)
        return results


def test_no_tensor_outgrows_the_patches_and_the_budget_of_scores(monkeypatch):
    """32 x 32 patches: heads x patches x patches is 2 million, all patches have 33 thousand."""
    config = replace(TINY, image_size=256)
    encoder, pixels = _encoder(config), _pixels(1, config)
    patches, few, many = 1024, 1 << 16, 2 * 1024 * 1024
    monkeypatch.setattr(encoder_passes, "_SCORES_AT_ONCE", few // torch.get_num_threads())
    with torch.inference_mode():
        with _LargestTensor() as package:
            expected = encoder(pixels)
        with _LargestTensor() as ours:
            features = EncoderRunner(encoder)(pixels)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)
    assert package.elements >= many
    # The pixels themselves are the largest: 3 x 256 x 256
    assert ours.elements <= max(pixels.numel(), 3 * patches * config.encoder_dim, few)


@pytest.mark.parametrize(("rows", "columns", "width"), [(4, 4, 8), (3, 5, 8), (7, 2, 20)])
def test_three_ways_to_attend_agree(rows: int, columns: int, width: int):
    """Against the definition, one query and key at a time."""
    torch.manual_seed(rows)
    heads, count, scale = 2, rows * columns, 0.3
    queries, keys, values = torch.randn(3, heads, count, width, dtype=torch.float64)
    by_row = torch.randn(2 * rows - 1, width, dtype=torch.float64)
    by_column = torch.randn(2 * columns - 1, width, dtype=torch.float64)
    logits = torch.empty(heads, count, count, dtype=torch.float64)
    for query in range(count):
        for key in range(count):
            down, across = (
                query // columns - key // columns + rows - 1,
                query % columns - key % columns + columns - 1,
            )
            vector = keys[:, key] * scale + by_row[down] + by_column[across]
            logits[:, query, key] = (queries[:, query] * vector).sum(-1)
    expected = logits.softmax(-1) @ values

    tables = PositionTables(position_table(by_row, rows), position_table(by_column, columns))
    grid = queries.view(heads, rows, columns, width)
    blocked = attend(grid, keys, values, position_logits(grid, tables), scale)
    torch.testing.assert_close(blocked.flatten(1, 2), expected)
    folded = attend_folded(queries[None], keys[None], values[None], tables, scale)
    torch.testing.assert_close(folded[0], expected)

    half = grid.bfloat16()
    positions = position_logits(half.float(), tables)
    masked = attend(half, keys.bfloat16(), values.bfloat16(), positions, scale)
    assert masked.dtype == torch.bfloat16
    torch.testing.assert_close(masked.flatten(1, 2).double(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bits_cast_the_matrices_and_keep_the_norms(dtype: torch.dtype):
    encoder, pixels = _encoder(), _pixels(2)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    run = EncoderRunner(encoder, dtype=dtype)
    with torch.inference_mode():
        exact = encoder(pixels)
        features = run(pixels)
        together = encode_batch(run._encoder, pixels).float()
    assert features.dtype == torch.float32
    for answer in (features, together):
        assert (answer - exact).norm() < 0.02 * exact.norm()
    for layer in run._encoder.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            assert layer.weight.dtype == dtype
        elif isinstance(layer, nn.LayerNorm):
            assert layer.weight.dtype == torch.float32
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_autocast_around_the_runner_changes_nothing():
    run, pixels = EncoderRunner(_encoder()), _pixels()
    expected = run(pixels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(run(pixels), expected)


def test_float32_shares_the_weights():
    encoder, pixels = _encoder(), _pixels()
    run = EncoderRunner(encoder)
    before = run(pixels)
    with torch.no_grad():
        encoder.blocks[1].mlp.lin2.weight.mul_(2)
    assert not torch.equal(run(pixels), before)


def test_compilation_hands_the_batch_to_the_backend():
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    encoder, pixels = _encoder(), _pixels(2)
    run = EncoderRunner(encoder, compile=True, backend=backend)
    assert not graphs  # nothing is compiled before it is needed
    features = run(pixels)
    assert len(graphs) == 1  # no graph breaks
    with torch.inference_mode():
        torch.testing.assert_close(features, encode_batch(encoder, pixels), rtol=0, atol=1e-5)


class _Doubled(ImageEncoderViT):
    def forward(self, x):
        return 2 * super().forward(x)


def test_an_encoder_of_another_class_is_called():
    plain, pixels = _encoder(), _pixels()
    other = copy.deepcopy(plain)
    other.__class__ = _Doubled
    assert supports(plain)
    assert not supports(other)
    with torch.inference_mode():
        assert torch.equal(EncoderRunner(other, compile=True)(pixels), 2 * plain(pixels))
        half = EncoderRunner(other, dtype=torch.bfloat16)(pixels)
    assert half.dtype == torch.float32


def test_wrapped_layers_and_tables_of_another_grid_are_not_supported():
    class Adapter(nn.Linear):
        pass

    encoder = _encoder()
    encoder.blocks[1].attn.qkv = Adapter(32, 96)
    assert not supports(encoder)
    encoder = _encoder()
    encoder.blocks[1].attn.rel_pos_h = nn.Parameter(torch.zeros(63, 16))
    assert not supports(encoder)
    with torch.inference_mode():  # the package scales the table
        pixels = _pixels()
        assert torch.equal(EncoderRunner(encoder)(pixels), encoder(pixels))


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_the_published_sizes_are_supported(name: str):
    with torch.device("meta"):
        assert supports(build_sam(SAM_CONFIGS[name]).image_encoder)
