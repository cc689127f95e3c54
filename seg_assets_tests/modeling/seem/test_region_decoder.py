"""Many regions at once against `QueryDecoder`, one region at a time."""

import pytest
import torch
from torch.nn import functional as F

from seg_assets.modeling.seem import region_decoder
from seg_assets.modeling.seem.adapter_config import AdapterConfig, LoraConfig
from seg_assets.modeling.seem.adapters import attach_adapters
from seg_assets.modeling.seem.features import ImageFeatures
from seg_assets.modeling.seem.lora import attach_lora
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.postprocess import match_region
from seg_assets.modeling.seem.prompts import SLOTS, Points, pad_points, sample
from seg_assets.modeling.seem.region_decoder import can_share, decode_regions, regions_at_once
from seg_assets.modeling.seem.sampling import bilinear_taps, mean_at, read_rows
from seg_assets_tests.modeling.seem.tiny import TINY, tiny_seem

SIZE = (70, 100)
COUNTS = (
    1,
    16,
    3,
    0,
    16,
    7,
)  # points of the regions; more than cells of the coarsest level together


def model_and_features(model: Seem | None = None) -> tuple[Seem, ImageFeatures, torch.Tensor]:
    model = model or tiny_seem()
    generator = torch.Generator().manual_seed(0)
    for name in ("query_feat", "query_embed"):
        weight = getattr(model.predictor, name).weight
        weight.data = torch.randn(weight.shape, generator=generator)
    image = torch.randint(0, 256, (3, *SIZE), generator=generator, dtype=torch.uint8)
    table = F.normalize(torch.randn(8, TINY.hidden, generator=generator), dim=-1)
    with torch.inference_mode():
        return model, model.encode_image(image), table


def some_points(seed: int = 1) -> dict[str, Points]:
    generator = torch.Generator().manual_seed(seed)
    return {
        slot: pad_points([torch.rand(count, 2, generator=generator) for count in COUNTS])
        for slot in SLOTS
    }


def one_by_one(model: Seem, features: ImageFeatures, table, points: dict[str, Points]):
    """Class logits of the matched queries, and the queries, by the plain way."""
    logits, queries = [], []
    for i in range(len(COUNTS)):
        part = {slot: Points(at.xy[i : i + 1], at.valid[i : i + 1]) for slot, at in points.items()}
        region = model.predictor.region_prompt(features, part)
        prediction = model.decode(features, table, regions=[region])
        query = int(match_region(prediction, region.query).query)
        logits.append(prediction.logits[0, query])
        queries.append(query)
    return torch.stack(logits), torch.tensor(queries)


@pytest.mark.parametrize("batch", [1, 2, 4, 100])
@torch.inference_mode()
def test_regions_together_equal_one_at_a_time(batch):
    """Tolerance: float32 sums in another order; logits are up to 14."""
    model, features, table = model_and_features()
    points = some_points()
    logits, queries = one_by_one(model, features, table, points)
    found = decode_regions(model.predictor, features, table, points, batch=batch)
    assert found.query.tolist() == queries.tolist()
    torch.testing.assert_close(found.logits, logits, atol=2e-4, rtol=1e-4)
    assert len({tuple(row.tolist()) for row in found.logits.round(decimals=3)}) == len(COUNTS)


@torch.inference_mode()
def test_adapters_take_part():
    model = tiny_seem()
    attach_adapters(model, AdapterConfig(backbone=False, decoder=True, init="kaiming_fan_out"))
    model, features, table = model_and_features(model.eval())
    logits, queries = one_by_one(model, features, table, some_points())
    found = decode_regions(model.predictor, features, table, some_points(), batch=4)
    assert found.query.tolist() == queries.tolist()
    torch.testing.assert_close(found.logits, logits, atol=2e-4, rtol=1e-4)


@torch.inference_mode()
def test_updates_that_are_not_merged_are_decoded_plainly():
    pytest.importorskip("peft")
    with torch.inference_mode(False):
        model = tiny_seem()
        attach_lora(model, LoraConfig())
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter)
        model.requires_grad_(False)
    model, features, table = model_and_features(model.eval())
    assert not can_share(model.predictor)
    logits, queries = one_by_one(model, features, table, some_points())
    found = decode_regions(model.predictor, features, table, some_points(), batch=4)
    assert found.query.tolist() == queries.tolist()
    torch.testing.assert_close(found.logits, logits, atol=2e-4, rtol=1e-4)


@torch.inference_mode()
def test_where_gpu_memory_is_short_batches_are_halved(monkeypatch):
    model, features, table = model_and_features()
    expected = decode_regions(model.predictor, features, table, some_points(), batch=8)
    read, sizes = region_decoder._Layer.read_region, []

    def short_of_memory(self, objects, start, stop):
        sizes.append(stop - start)
        if stop - start > 2:
            raise torch.cuda.OutOfMemoryError
        return read(self, objects, start, stop)

    monkeypatch.setattr(region_decoder._Layer, "read_region", short_of_memory)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    found = decode_regions(model.predictor, features, table, some_points(), batch=8)
    assert sizes[:2] == [6, 3]
    assert max(sizes[6:]) <= 2, "later layers begin with what fitted"
    torch.testing.assert_close(found.logits, expected.logits, atol=2e-4, rtol=1e-4)


@torch.inference_mode()
def test_large_images_are_decoded_in_smaller_batches(monkeypatch):
    model, features, _ = model_and_features()
    finest = max(height * width for height, width in features.sizes)
    monkeypatch.setattr(region_decoder, "CPU_ELEMENTS", 3 * finest * TINY.queries)
    assert regions_at_once(model.predictor, features, 16) == 3
    monkeypatch.setattr(region_decoder, "CPU_ELEMENTS", 1)
    assert regions_at_once(model.predictor, features, 16) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (6, 9)])
def test_rows_are_read_as_maps_are_sampled(size):
    """Tolerance: torch's own sampling goes through coordinates in -1..1."""
    generator = torch.Generator().manual_seed(2)
    feature_map = torch.randn(1, 5, *size, generator=generator)
    xy = torch.rand(3, 40, 2, generator=generator)
    xy[0, :2] = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    found = read_rows(feature_map[0].flatten(1).T, bilinear_taps(xy, size))
    torch.testing.assert_close(found, sample(feature_map, xy), atol=1e-5, rtol=0)


def test_means_are_over_valid_points(monkeypatch):
    generator = torch.Generator().manual_seed(3)
    feature_map = torch.randn(1, 5, 6, 9, generator=generator)
    points = some_points()["mean"]
    monkeypatch.setattr("seg_assets.modeling.seem.sampling.CELL_WEIGHTS", 2 * 54)
    found = mean_at(feature_map, points)
    for i, count in enumerate(COUNTS):
        expected = torch.zeros(5)
        if count:
            expected = sample(feature_map, points.xy[i : i + 1, :count])[0].mean(0)
        torch.testing.assert_close(found[i], expected, atol=1e-5, rtol=0)
