"""The folded decoder against the segment-anything package's, in float64 and in float32.

Both decoders round differently, so neither is the other's reference: errors are measured against a
float64 copy of the package's decoder. Ours may be half as large again as the package's own; that of
the predicted IoUs, which are few numbers, twice as large.
"""

import copy
import threading
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from seg_assets.modeling.mask_models.batches import run_in_batches
from seg_assets.modeling.mask_models.cpu_threads import run_in_threads
from seg_assets.modeling.mask_models.sam import point_arithmetic, point_upscaling
from seg_assets.modeling.mask_models.sam.point_decoder import PointDecoder
from seg_assets.modeling.mask_models.sam.point_upscaling import tokens_inside
from seg_assets.modeling.sam import DEMO, TINY, Sam, SamConfig, build_sam

# isort: split
from segment_anything.modeling import MaskDecoder

CONFIGS = {
    "tiny": TINY,
    "demo": replace(DEMO, encoder_depth=1, global_attention=()),
    "one block": replace(TINY, decoder_depth=1),
    "three blocks": replace(TINY, decoder_depth=3, decoder_heads=4, prompt_dim=64),
}


def _sam(config: SamConfig, seed: int = 0) -> Sam:
    """A SAM whose biases and norms do something, unlike freshly built ones."""
    torch.manual_seed(seed)
    sam = build_sam(config)
    with torch.no_grad():
        for parameter in sam.mask_decoder.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return sam


def _features(config: SamConfig) -> Tensor:
    grid = config.image_size // config.patch_size
    return torch.randn(1, config.prompt_dim, grid, grid)


def _points(config: SamConfig, count: int) -> Tensor:
    """Random points, the first four in the corners of the square."""
    side = config.image_size
    corners = torch.tensor([[0.0, 0], [side, 0], [0, side], [side, side]])
    return torch.cat([corners, torch.rand(count, 2) * side])[:count]


@torch.inference_mode()
def _package(
    sam: Sam, features: Tensor, points: Tensor, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Logits, (N, 3, rows, columns), and predicted IoUs, (N, 3), of the package's decoder."""
    labels = torch.ones((len(points), 1), dtype=torch.int)
    sparse, dense = sam.prompt_encoder((points[:, None], labels), None, None)
    return copy.deepcopy(sam.mask_decoder).to(dtype)(
        image_embeddings=features.to(dtype),
        image_pe=sam.prompt_encoder.get_dense_pe().to(dtype),
        sparse_prompt_embeddings=sparse.to(dtype),
        dense_prompt_embeddings=dense.to(dtype),
        multimask_output=True,
    )


def _all(predicted_ious: Tensor) -> Tensor:
    return torch.ones_like(predicted_ious, dtype=torch.bool)


def _error(ours: Tensor, exact: Tensor) -> float:
    return float((ours.double() - exact).norm() / exact.norm())


def _collect(batches) -> tuple[Tensor, Tensor, Tensor]:
    batches = list(batches)
    return (
        torch.cat([batch.logits for batch in batches]),
        torch.cat([batch.predicted_ious for batch in batches]),
        torch.cat([batch.points for batch in batches]),
    )


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("points_per_batch", [1, 7, None])
def test_errs_no_more_than_the_package_does(name: str, points_per_batch: int | None):
    config = CONFIGS[name]
    sam = _sam(config)
    features, points = _features(config), _points(config, 9)
    exact, exact_ious = _package(sam, features, points, torch.float64)
    single, single_ious = _package(sam, features, points)
    decoder = PointDecoder(sam)
    square = (config.image_size, config.image_size)
    logits, ious, indices = _collect(
        decoder.decode(decoder.prepare(features), points, _all, square, points_per_batch)
    )
    assert indices.tolist() == [i for i in range(9) for _ in range(3)]
    assert logits.dtype == ious.dtype == torch.float32
    assert _error(logits.view(exact.shape), exact) < 1.5 * _error(single, exact) + 1e-7
    assert _error(ious.view(9, 3), exact_ious) < 2 * _error(single_ious, exact_ious) + 1e-7


@pytest.mark.parametrize("name", ["tiny", "three blocks"])
def test_the_way_of_other_devices_errs_no_more(name: str, monkeypatch):
    """What a GPU runs, here on a CPU: torch's own elementwise functions and no tiles."""
    for module in (point_arithmetic, point_upscaling):
        monkeypatch.setattr(module, "is_compiled", lambda tensor: False)
    config = CONFIGS[name]
    sam = _sam(config)
    features, points = _features(config), _points(config, 9)
    exact, _ = _package(sam, features, points, torch.float64)
    single, _ = _package(sam, features, points)
    decoder = PointDecoder(sam)
    square = (config.image_size, config.image_size)
    logits, _, _ = _collect(decoder.decode(decoder.prepare(features), points, _all, square))
    assert _error(logits.view(exact.shape), exact) < 1.5 * _error(single, exact) + 1e-7


def test_only_wanted_masks_come_with_the_index_of_their_point():
    sam = _sam(TINY)
    features, points = _features(TINY), _points(TINY, 23)
    logits, ious = _package(sam, features, points)
    middle = float(ious.median()) + 1e-4  # no score lies so near that rounding decides
    decoder = PointDecoder(sam)
    found = _collect(
        decoder.decode(decoder.prepare(features), points, lambda iou: iou > middle, (128, 128))
    )
    wanted = ious > middle
    assert 0 < int(wanted.sum()) < wanted.numel()
    assert torch.equal(found[2], wanted.nonzero()[:, 0])
    torch.testing.assert_close(found[0], logits[wanted], rtol=0, atol=1e-4 * float(logits.std()))
    torch.testing.assert_close(found[1], ious[wanted], rtol=0, atol=1e-5)


@pytest.mark.parametrize("input_size", [(128, 75), (128, 3), (61, 128), (1, 128), (96, 128)])
def test_logits_are_cut_to_the_part_that_shows_the_image(input_size: tuple[int, int]):
    """Scaling the cut logits up gives the same pixels as scaling up all of them."""
    sam = _sam(TINY)
    features, points = _features(TINY), _points(TINY, 3)
    decoder = PointDecoder(sam)
    image = decoder.prepare(features)
    whole, _, _ = _collect(decoder.decode(image, points, _all, (128, 128)))
    cut, _, _ = _collect(decoder.decode(image, points, _all, input_size))
    rows, columns = cut.shape[1:]
    assert rows <= input_size[0] / 2 + 5
    assert columns <= input_size[1] / 2 + 5
    spread = float(whole.std())
    torch.testing.assert_close(cut, whole[:, :rows, :columns], rtol=0, atol=1e-5 * spread)
    marked = whole.clone()
    marked[:, rows:] = torch.inf
    marked[:, :, columns:] = torch.inf
    scaled = torch.nn.functional.interpolate(marked[None], (128, 128), mode="bilinear")[0]
    assert bool(scaled[:, : input_size[0], : input_size[1]].isfinite().all())


def test_tokens_inside_of_common_sizes():
    assert tokens_inside(1024, 1024, 64) == 64
    assert tokens_inside(768, 1024, 64) == 49  # the last row lies between two tokens' logits
    assert tokens_inside(683, 1024, 64) == 43
    assert tokens_inside(1, 1024, 64) == 1


def test_no_points_and_no_wanted_masks_give_no_batches():
    sam = _sam(TINY)
    decoder = PointDecoder(sam)
    image = decoder.prepare(_features(TINY))
    assert list(decoder.decode(image, torch.zeros(0, 2), _all, (128, 128))) == []
    points = _points(TINY, 5)
    assert list(decoder.decode(image, points, lambda iou: iou > torch.inf, (128, 128))) == []


def test_one_point():
    sam = _sam(TINY)
    decoder = PointDecoder(sam)
    masks = list(decoder.decode(decoder.prepare(_features(TINY)), _points(TINY, 1), _all, (128, 9)))
    assert len(masks) == 1
    assert masks[0].points.tolist() == [0, 0, 0]


def test_bfloat16_products_stay_close():
    """Eight bits of mantissa, so a few per mille of the demo's logits."""
    config = CONFIGS["demo"]
    sam = _sam(config)
    features, points = _features(config), _points(config, 6)
    exact, exact_ious = _package(sam, features, points, torch.float64)
    decoder = PointDecoder(sam, torch.bfloat16)
    logits, ious, _ = _collect(decoder.decode(decoder.prepare(features), points, _all, (192, 192)))
    assert logits.dtype == torch.float32
    assert _error(logits.view(exact.shape), exact) < 0.02
    assert _error(ious.view(6, 3), exact_ious) < 0.01


def test_the_callers_autocast_changes_nothing():
    sam = _sam(TINY)
    features, points = _features(TINY), _points(TINY, 4)
    decoder = PointDecoder(sam)
    plain = _collect(decoder.decode(decoder.prepare(features), points, _all, (128, 128)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = _collect(decoder.decode(decoder.prepare(features), points, _all, (128, 128)))
    assert torch.equal(plain[0], cast[0])


def test_threads_change_nothing():
    sam = _sam(TINY)
    features, points = _features(TINY), _points(TINY, 19)
    decoder = PointDecoder(sam)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            image = decoder.prepare(features)
            found.append(_collect(decoder.decode(image, points, _all, (128, 96), 3)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=1e-4)
    assert torch.equal(found[0][2], found[1][2])


def test_threads_leave_torchs_number_of_threads_alone_elsewhere():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        inside = set(run_in_threads(9, 1, 2, lambda start, stop: torch.get_num_threads()))
        elsewhere = []
        thread = threading.Thread(target=lambda: elsewhere.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert (inside, elsewhere, torch.get_num_threads()) == ({1}, [3], 3)
    finally:
        torch.set_num_threads(before)


def test_results_of_threads_come_in_order_and_stop_with_the_consumer():
    started = []

    def run(start: int, stop: int) -> tuple[int, int]:
        started.append(start)
        return start, stop

    assert list(run_in_threads(7, 2, 3, run)) == [(0, 2), (2, 4), (4, 6), (6, 7)]
    started.clear()
    batches = run_in_threads(1000, 1, 2, run)
    assert next(batches) == (0, 1)
    batches.close()
    assert len(started) < 10


def test_decoders_of_other_classes_are_not_supported():
    class OtherDecoder(MaskDecoder):
        """Could compute anything."""

    sam = build_sam(TINY)
    assert PointDecoder.supports(sam)
    sam.mask_decoder.__class__ = OtherDecoder
    assert not PointDecoder.supports(sam)
    hooked = build_sam(TINY)
    hooked.mask_decoder.iou_prediction_head.register_forward_hook(lambda *_: None)
    assert not PointDecoder.supports(hooked)
    adapted = build_sam(TINY)
    adapted.mask_decoder.output_upscaling[2] = torch.nn.GELU("tanh")
    assert not PointDecoder.supports(adapted)
    assert not PointDecoder.supports(build_sam(TINY).to(torch.bfloat16))


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost_or_repeated(caplog):
    ran = []

    def run(start: int, stop: int) -> tuple[int, int]:
        if stop - start > (3 if start < 12 else 1):
            raise torch.cuda.OutOfMemoryError
        ran.append((start, stop))
        return start, stop

    batches = list(run_in_batches(15, 8, run))
    assert batches == ran
    assert [i for start, stop in batches for i in range(start, stop)] == list(range(15))
    assert batches[0] == (0, 2)
    assert "decoding 4 points at a time" in caplog.text


def test_a_single_point_that_does_not_fit_is_an_error():
    def run(start: int, stop: int) -> int:
        raise torch.cuda.OutOfMemoryError

    with pytest.raises(torch.cuda.OutOfMemoryError):
        list(run_in_batches(5, 4, run))


def test_an_error_of_the_consumer_is_not_mistaken_for_short_memory():
    batches = run_in_batches(4, 2, lambda start, stop: (start, stop))
    next(batches)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        batches.throw(torch.cuda.OutOfMemoryError())
