"""Run lengths straight from logits against the masks that torch upscales: equal bit for bit."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from pycocotools import mask as coco_mask
from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score

from seg_assets.masks.upscaling import tracer
from seg_assets.masks.upscaling.axes import bilinear_axis
from seg_assets.masks.upscaling.grid import Rounding
from seg_assets.masks.upscaling.plain import trace_plainly, upscale_logits
from seg_assets.masks.upscaling.traced import Canvas, Stability, TracedMask
from seg_assets.masks.upscaling.tracer import torch_rounding, trace_masks
from seg_assets.modeling.mask_models.frame import MaskFrame
from seg_assets.modeling.pixels import scaled_size
from seg_assets_tests.masks.conftest import needs_the_fast_way

ALL = Stability(threshold=0.0, offset=1.0, least=0.0)


def _frame(height: int, width: int, square: int = 1024, side: int = 256) -> MaskFrame:
    size = scaled_size(height, width, square)
    return MaskFrame((height, width), size, square, (side, side))


def _blobs(count: int, side: int = 256, seed: int = 0, grain: int = 16) -> torch.Tensor:
    """Smooth masks with several parts and holes, and values near all thresholds, (N, s, s)."""
    random = np.random.default_rng(seed)
    shape = (count, 1, side // grain + 2, side // grain + 2)
    coarse = torch.from_numpy(random.normal(-1, 4, shape).astype(np.float32))
    return F.interpolate(coarse, (side, side), mode="bicubic")[:, 0].contiguous()


def _equal(logits: torch.Tensor, frame: MaskFrame, stability: Stability = ALL) -> list[TracedMask]:
    canvas = Canvas(*frame.image_size)
    found = trace_masks(logits, frame, canvas, stability)
    assert found == list(trace_plainly(logits, frame, canvas, stability))
    return found


SIZES = [(480, 640), (640, 480), (1500, 2250), (1024, 1024), (768, 1024), (129, 1), (1, 400)]


@pytest.mark.parametrize("size", [*SIZES, (33, 1000), (3000, 71), (2, 127), (99, 97)], ids=str)
def test_masks_of_any_size_are_torchs(size):
    assert len(_equal(_blobs(12), _frame(*size))) > 6


@pytest.mark.parametrize(("square", "side"), [(128, 64), (192, 48), (1008, 288), (64, 64)])
def test_models_of_any_size_are_served(square, side):
    assert len(_equal(_blobs(8, side, grain=8), _frame(150, 210, square, side))) > 4


@pytest.mark.parametrize("size", [(480, 640), (1200, 700), (100, 100)], ids=str)
def test_models_that_scale_in_one_step_are_served(size):
    frame = MaskFrame(size, (1024, 1024), 1024, (256, 256), through_square=False)
    assert len(_equal(_blobs(8), frame)) > 4


def test_the_numbers_are_those_of_the_segment_anything_package():
    frame, logits = _frame(480, 640), _blobs(20)
    full = F.interpolate(logits[:, None], (1024, 1024), mode="bilinear", align_corners=False)
    full = full[..., :768, :1024]
    full = F.interpolate(full, (480, 640), mode="bilinear", align_corners=False)[:, 0]
    scores, masks = calculate_stability_score(full, 0.0, 1.0), full > 0
    boxes = batched_mask_to_box(masks)
    least = float(scores.nanmedian())
    found = trace_masks(logits, frame, Canvas(480, 640), Stability(0.0, 1.0, least))
    assert [mask.index for mask in found] == (scores >= least).nonzero().flatten().tolist()
    assert 5 < len(found) < 20
    for mask in found:
        pixels = np.asfortranarray(masks[mask.index].numpy().view(np.uint8))
        assert mask.rle.counts == coco_mask.encode(pixels)["counts"]
        assert mask.stability == float(scores[mask.index])
        assert list(mask.corners) == boxes[mask.index].tolist()
        assert mask.area == int(masks[mask.index].sum())


@pytest.mark.parametrize("offset", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("threshold", [-2.0, 0.0, 1.7])
def test_thresholds_may_lie_anywhere(threshold, offset):
    _equal(_blobs(10), _frame(300, 500), Stability(threshold, offset, 0.0))


def test_a_threshold_on_a_pixels_very_value_decides_alike():
    """Where one bit of difference in a pixel would show."""
    frame, logits = _frame(150, 210), _blobs(1)
    values = upscale_logits(logits, frame).flatten()
    for value in values[:: len(values) // 300].tolist():
        _equal(logits, frame, Stability(value, 0.0, 0.0))


def test_a_score_on_the_threshold_is_stable_as_float32():
    """19/20 as float32 is less than 0.95 as a double, and torch compares in float32."""
    frame = MaskFrame((10, 200), (10, 200), 200, (200, 200))
    logits = torch.full((1, 200, 200), -9.0)
    logits[0, 0, :19], logits[0, 0, 19] = 9.0, 0.5
    (mask,) = _equal(logits, frame, Stability(0.0, 1.0, 0.95))
    assert (mask.area, mask.stability) == (20, float(np.float32(0.95)))


@pytest.mark.parametrize("value", [-9.0, 9.0, 0.5, -0.5, 0.0])
def test_constant_logits_are_all_or_nothing(value):
    found = _equal(torch.full((2, 256, 256), value), _frame(480, 640))
    assert [mask.area for mask in found] == ([480 * 640] * 2 if value > 0 else [])


def test_masks_at_every_edge_and_corner_are_torchs():
    logits = torch.full((9, 256, 256), -8.0)
    places = [slice(0, 30), slice(100, 140), slice(160, 192)]
    for n in range(9):
        logits[n, places[n // 3], [slice(0, 30), slice(100, 140), slice(220, 256)][n % 3]] = 8.0
    assert len(_equal(logits, _frame(480, 640))) == 9


def test_columns_that_are_full_join_their_runs():
    """One run goes over the ends of columns."""
    logits = torch.full((2, 256, 256), -8.0)
    logits[0, :, 60:120] = 8.0
    logits[1, :, :60] = 8.0
    inner, first = _equal(logits, _frame(480, 640))
    assert len(inner.rle.runs()) == 3
    assert first.rle.runs()[0] == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 3e38])
def test_logits_that_are_no_numbers_are_treated_as_torch_does(bad):
    logits = _blobs(5)
    logits[1, 100, 100] = bad
    logits[3] = bad
    logits[4, 250, 250] = bad  # in the padding
    _equal(logits, _frame(480, 640))


def test_large_logits_are_torchs():
    _equal(_blobs(4) * 1e6, _frame(480, 640))
    _equal(_blobs(4) * 1e-30, _frame(480, 640), Stability(0.0, 1e-31, 0.0))


def test_white_noise_fits_no_buffer_and_is_torchs(monkeypatch):
    monkeypatch.setattr(tracer, "_TOGGLES", 2000)
    monkeypatch.setattr(tracer, "_BYTES", 4000)
    noise = torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(0))
    logits = torch.cat([_blobs(2), noise, _blobs(2, seed=1)])
    assert len(_equal(logits, _frame(480, 640))) == 7


def test_rows_and_columns_that_show_only_padding_may_be_missing():
    frame, logits = _frame(480, 640), _blobs(3)
    canvas = Canvas(480, 640)
    whole = trace_masks(logits, frame, canvas, ALL)
    assert trace_masks(logits[:, :193].contiguous(), frame, canvas, ALL) == whole
    assert list(trace_plainly(logits[:, :193], frame, canvas, ALL)) == whole


def test_a_crops_masks_lie_where_the_crop_does():
    frame, logits = _frame(300, 400), _blobs(6)
    canvas = Canvas(900, 1000, row=450, column=600)
    found = trace_masks(logits, frame, canvas, ALL)
    assert found == list(trace_plainly(logits, frame, canvas, ALL))
    alone = trace_masks(logits, frame, Canvas(300, 400), ALL)
    for mask, own in zip(found, alone, strict=True):
        expected = np.zeros((900, 1000), bool)
        expected[450:750, 600:] = own.rle.decode()
        np.testing.assert_array_equal(mask.rle.decode(), expected)


def test_threads_change_nothing():
    frame, logits = _frame(480, 640), _blobs(23)
    canvas = Canvas(480, 640)
    assert trace_masks(logits, frame, canvas, ALL, threads=3) == trace_masks(
        logits, frame, canvas, ALL, threads=1
    )


def test_small_outputs_go_through_torch_which_rounds_them_otherwise():
    for size in [(1, 1), (3, 5), (64, 64), (1, 127), (60, 80)]:
        _equal(_blobs(4), _frame(*size))


def test_no_logits_are_no_masks():
    assert _equal(torch.zeros(0, 256, 256), _frame(480, 640)) == []


def test_where_torch_rounds_otherwise_the_masks_are_its_own(monkeypatch, caplog):
    expected = trace_masks(_blobs(3), _frame(150, 200), Canvas(150, 200), ALL)
    monkeypatch.setattr(tracer, "torch_rounding", lambda: None)
    monkeypatch.setattr(tracer, "_trace_on_one_thread", None)
    assert trace_masks(_blobs(3), _frame(150, 200), Canvas(150, 200), ALL) == expected


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX2",
    reason="how torch rounds is known for AVX2 only; elsewhere the plain way may be taken",
)
def test_with_avx2_the_fast_way_is_taken():
    assert torch_rounding() is not None


def test_another_rounding_is_noticed(monkeypatch, caplog):
    """Here of a weight's last bit."""
    monkeypatch.setattr(tracer, "scaling_of", _slightly_off)
    tracer._grid.cache_clear()
    try:
        assert torch_rounding.__wrapped__() is None
    finally:
        tracer._grid.cache_clear()
    assert "torch rounds otherwise on this machine" in caplog.text


def _slightly_off(frame: MaskFrame):
    from dataclasses import replace

    from seg_assets.masks.upscaling.axes import scaling_of

    exact = scaling_of(frame)
    axis = exact.to_image_rows
    nudged = replace(axis, weight0=np.nextafter(axis.weight0, np.float32(2)))
    return replace(exact, to_image_rows=nudged)


@pytest.mark.parametrize(
    ("inputs", "outputs"), [(256, 1024), (683, 1500), (1024, 33), (48, 192), (1, 200), (300, 300)]
)
@needs_the_fast_way
def test_axes_have_torchs_weights(inputs, outputs):
    """Interpolating unit vectors shows them."""
    axis = bilinear_axis(inputs, outputs)
    units = torch.eye(inputs)[:, None, None]
    seen = F.interpolate(units, (1, outputs), mode="bilinear", align_corners=False)[:, 0, 0].T
    expected = np.zeros((outputs, inputs), np.float32)
    at = np.arange(outputs)
    np.add.at(expected, (at, axis.first), axis.weight0)
    np.add.at(expected, (at, axis.second), axis.weight1)
    np.testing.assert_array_equal(seen.numpy(), expected)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    seed=st.integers(0, 1000),
    grain=st.sampled_from([2, 5, 16, 40]),
    threshold=st.floats(-4, 4, width=32),
    offset=st.floats(0, 4, width=32),
)
def test_any_mask_is_torchs(height, width, seed, grain, threshold, offset):
    logits = _blobs(2, 64, seed, grain)
    _equal(logits, _frame(height, width, 256, 64), Stability(threshold, offset, 0.0))


def test_the_working_memory_does_not_grow_with_the_images_area():
    """Of an image of 8000 x 8000 pixels, 64 MB as a mask, a thread holds less than 3 MB."""
    frame = _frame(8000, 8000)
    grid = tracer.grid_of(tracer.scaling_of(frame), Rounding(True, True))
    work = tracer.workspace_for(grid, tracer._TOGGLES)
    assert sum(buffer.nbytes for buffer in work) < 3e6


def test_masks_of_a_huge_image_are_torchs():
    assert len(_equal(_blobs(2), _frame(8000, 8000))) == 2
