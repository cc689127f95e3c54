"""Frames, logits and buffers at the edge of what the fast way is made for: still torch's masks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_assets.masks.upscaling import kernel, tracer
from seg_assets.masks.upscaling.axes import scaling_of
from seg_assets.masks.upscaling.grid import Rounding, grid_of
from seg_assets.masks.upscaling.plain import trace_plainly, upscale_logits
from seg_assets.masks.upscaling.traced import Canvas, Stability
from seg_assets.masks.upscaling.tracer import torch_rounding, trace_masks
from seg_assets.modeling.mask_models.frame import MaskFrame
from seg_assets.modeling.pixels import scaled_size
from seg_assets_tests.masks.conftest import needs_the_fast_way

ALL = Stability(threshold=0.0, offset=1.0, least=0.0)


def _equal(logits: torch.Tensor, frame: MaskFrame, stability: Stability = ALL) -> int:
    """Check that the masks are torch's; returns their number."""
    canvas = Canvas(*frame.image_size)
    found = trace_masks(logits, frame, canvas, stability)
    assert found == list(trace_plainly(logits, frame, canvas, stability))
    return len(found)


def _frame(height: int, width: int, square: int, side: int, squeezed: bool = False) -> MaskFrame:
    size = (square, square) if squeezed else scaled_size(height, width, square)
    return MaskFrame((height, width), size, square, (side, side), through_square=not squeezed)


@pytest.mark.parametrize("size", [(65, 65), (70, 90), (100, 60), (150, 40), (130, 1)], ids=str)
@pytest.mark.parametrize("squeezed", [False, True])
def test_single_logits_between_the_pixels_of_a_small_image_show_nowhere(size, squeezed):
    """No pixel depends on the last logits of an image so much smaller than them."""
    frame = _frame(*size, 1024, 256, squeezed)
    places = [0, 1, 2, 100, 101, 102, 103, 252, 253, 254, 255]
    pairs = [(r, c) for r in places for c in places]
    logits = torch.full((len(pairs), 256, 256), -9.0)
    for n, (r, c) in enumerate(pairs):
        logits[n, r, c] = 9.0
    assert _equal(logits, frame) < len(pairs)


def test_a_mask_that_no_pixel_depends_on_reads_nothing_beyond_the_buffers():
    """Numba does not check indices: what lies behind a table must not be taken for its rows."""
    grid = grid_of(scaling_of(_frame(65, 65, 1024, 256)), torch_rounding() or Rounding(True, True))
    bands, columns = len(grid.band_upper), len(grid.column_cells)

    def poisoned(values: np.ndarray) -> np.ndarray:
        """The same values, followed by an index that ends the process."""
        return np.append(values, np.int64(1) << 40)[: len(values)]

    poison = {
        name: poisoned(getattr(grid, name))
        for name in ("band_upper", "band_lower", "first_needed", "last_needed", "column_cells")
    }
    assert len(poison["band_upper"]) == bands
    assert len(poison["first_needed"]) == columns
    work = tracer.workspace_for(grid, 1000)
    thresholds = (np.float32(-1), np.float32(0), np.float32(1))
    for r, c in [(255, 100), (100, 255), (255, 255)]:
        logits = np.full((256, 256), -9, np.float32)
        logits[r, c] = 9
        found = kernel.trace(logits, grid._replace(**poison), thresholds, work)
        assert found[:5] == (kernel.TRACED, 0, 0, 0, 0)


@pytest.mark.parametrize("toggles", [639, 640, 700, 1279, 1280])
def test_buffers_have_room_for_the_columns_that_end_at_the_bottom(toggles):
    """A mask in the last row alone enters and leaves each of its 640 columns there."""
    frame = _frame(480, 640, 1024, 256)
    logits = np.full((256, 256), -1, np.float32)
    logits[192:] = 9
    grid = grid_of(scaling_of(frame), torch_rounding() or Rounding(True, True))
    work = tracer.workspace_for(grid, toggles)
    behind = {
        name: np.full(toggles + 2000, -7, np.int32)
        for name in ("toggle_columns", "toggle_rows", "sorted_rows")
    }
    work = work._replace(**{name: buffer[:toggles] for name, buffer in behind.items()})
    thresholds = (np.float32(-0.1), np.float32(0), np.float32(0.1))
    status, _, area, *_ = kernel.trace(logits, grid, thresholds, work)
    assert all((buffer[toggles:] == -7).all() for buffer in behind.values())
    if toggles < 1280:
        assert status == kernel.TOO_RAGGED
        assert not work.bits.any()
    else:
        assert (status, area) == (kernel.TRACED, 640)


def test_a_buffer_that_a_mask_in_the_last_row_fills_grows(monkeypatch):
    monkeypatch.setattr(tracer, "_TOGGLES", 640)
    logits = torch.full((3, 256, 256), -1.0)
    logits[::2, 192:] = 9.0
    assert _equal(logits, _frame(480, 640, 1024, 256), Stability(0.0, 0.1, 0.0)) == 2


def _soft(count: int, side: int, seed: int = 0, parts: int = 5) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 1, parts, parts, generator=random) * 4
    return F.interpolate(coarse, (side, side), mode="bicubic")[:, 0].contiguous()


@pytest.mark.parametrize(("square", "side"), [(128, 512), (96, 300), (70, 128), (32, 64)])
def test_logits_finer_than_the_models_input_are_torchs(square, side):
    """A pixel of the input then lies between logits that are not neighbours."""
    for size in [(100, 150), (300, 200), (90, 91)]:
        random = torch.Generator().manual_seed(1)
        noise = torch.randn(2, side, side, generator=random) * 3
        logits = torch.cat([_soft(3, side), noise])
        assert _equal(logits, _frame(*size, square, side)) >= 4


@pytest.mark.parametrize(("square", "side"), [(64, 16), (60, 20), (40, 10), (64, 64)])
def test_a_model_with_a_small_input_is_rounded_as_torch_rounds_it(square, side):
    """torch takes another way for few pixels, here in the first of the two steps."""
    frame, logits = _frame(100, 150, square, side), _soft(1, side)
    values = upscale_logits(logits, frame).flatten()
    for value in values[:: len(values) // 200].tolist():
        _equal(logits, frame, Stability(value, 0.0, 0.0))


SMALLEST = 2.0**-149


@pytest.mark.parametrize("value", [1, 3, 5, -1, -3])
@pytest.mark.parametrize(
    ("threshold", "offset"),
    [(0.0, 0.0), (0.0, 4 * SMALLEST), (0.0, 1e-40), (-3 * SMALLEST, 0.0), (0.0, 1.0)],
)
def test_numbers_near_the_smallest_are_rounded_as_torch_rounds_them(value, threshold, offset):
    """Interpolation between equal ones may leave their range, into zero."""
    logits = torch.full((1, 64, 64), value * SMALLEST)
    _equal(logits, _frame(150, 200, 256, 64), Stability(threshold, offset, 0.0))


@pytest.mark.parametrize("steps", [-2, -1, 0, 1, 2])
def test_a_plateau_next_to_a_threshold_falls_to_the_side_to_which_torch_rounds_it(steps):
    """Interpolation between equal numbers may give the number before or after."""
    frame = _frame(350, 550, 100, 31)
    left_the_value = 0
    for value in np.random.default_rng(0).normal(0, 5, 40).astype(np.float32):
        logits = torch.full((1, 31, 31), float(value))
        left_the_value += bool((upscale_logits(logits, frame) != float(value)).any())
        threshold = value
        for _ in range(abs(steps)):
            threshold = np.nextafter(threshold, np.float32(steps * np.inf))
        _equal(logits, frame, Stability(float(threshold), 0.0, 0.0))
    assert left_the_value >= 5


def test_the_two_zeros_are_the_same():
    logits = torch.full((4, 64, 64), -0.0)
    logits[1, :32] = 0.0
    logits[2, 20:40, 20:40] = 1.0
    logits[3, 20:40, 20:40] = 1e-39
    for stability in [ALL, Stability(0.0, 0.0, 0.0), Stability(-1.0, 1.0, 0.0)]:
        assert _equal(logits, _frame(150, 200, 256, 64), stability) >= 2


@pytest.mark.parametrize("offset", [1e6, 1e30, 3e38, 1e39])
def test_an_offset_may_be_larger_than_all_logits(offset):
    assert _equal(_soft(5, 64), _frame(150, 200, 256, 64), Stability(0.0, offset, 0.0)) >= 4
    assert _equal(_soft(5, 64), _frame(150, 200, 256, 64), Stability(0.0, offset, 0.5)) == 0


@pytest.mark.parametrize("ragged", [0, 1, 3])
@pytest.mark.parametrize("bad", [None, 0, 2, 4])
def test_one_odd_mask_does_not_change_the_others(monkeypatch, ragged, bad):
    """Too ragged for the buffers, not finite, or both in a row, anywhere in a batch."""
    monkeypatch.setattr(tracer, "_TOGGLES", 2000)
    monkeypatch.setattr(tracer, "_BYTES", 3000)
    logits = _soft(5, 64, seed=2)
    logits[ragged] = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)) * 3
    if bad is not None:
        logits[bad, 30, 30] = torch.nan
    assert _equal(logits, _frame(200, 300, 256, 64)) >= 3


@pytest.mark.parametrize("size", [(150, 200), (50, 60)], ids=str)
def test_logits_may_be_views_and_of_other_types(size):
    frame, logits, canvas = _frame(*size, 256, 64), _soft(4, 64), Canvas(*size)
    expected = trace_masks(logits, frame, canvas, ALL)
    assert len(expected) > 2
    transposed = logits.transpose(1, 2).contiguous().transpose(1, 2)
    strided = logits.repeat_interleave(2, 0)[::2]
    wider = F.pad(logits, (3, 5, 2, 2), value=50.0)[:, 2:66, 3:67]
    for view in (transposed, strided, wider, logits.double()):
        assert trace_masks(view, frame, canvas, ALL) == expected
    halves = logits.bfloat16()
    assert trace_masks(halves, frame, canvas, ALL) == trace_masks(
        halves.float(), frame, canvas, ALL
    )


@pytest.mark.parametrize(("rows", "columns"), [(47, 64), (48, 63), (0, 0), (10, 10)])
@needs_the_fast_way
def test_logits_that_do_not_cover_the_image_are_refused(rows, columns):
    """Else memory behind them would be taken for logits."""
    frame = _frame(150, 200, 256, 64)
    with pytest.raises(ValueError, match=r"\(150, 200\) depends on 49 x 64 logits"):
        trace_masks(torch.zeros(1, rows, columns), frame, Canvas(150, 200), ALL)


@settings(max_examples=80, deadline=None)
@given(
    size=st.tuples(st.integers(1, 260), st.integers(1, 260)),
    square=st.sampled_from([65, 97, 128, 255, 256]),
    side=st.sampled_from([16, 31, 64, 100, 256]),
    inside=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
    squeezed=st.booleans(),
    dots=st.lists(st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)), max_size=4),
    parts=st.integers(2, 12),
    seed=st.integers(0, 1000),
    at_a_pixel=st.booleans(),
    cut=st.booleans(),
    canvas=st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_any_frame_is_torchs(
    size, square, side, inside, squeezed, dots, parts, seed, at_a_pixel, cut, canvas
):
    """Images squeezed and stretched, dots and soft masks, plateaus, crops, exact thresholds."""
    input_size = [max(int(share * square), 1) for share in inside]
    if squeezed:
        input_size = [square, square]
    frame = MaskFrame(size, tuple(input_size), square, (side, side), through_square=not squeezed)
    logits = torch.full((3, side, side), -2.0)
    for row, column in dots:
        logits[0, int(row * side), int(column * side)] = 3.0
    logits[1] = _soft(1, side, seed, parts)[0]
    logits[2] = logits[1].round()  # plateaus, some of them at the thresholds
    pixels = upscale_logits(logits, frame)
    threshold = float(pixels[1, size[0] // 2, size[1] // 2]) if at_a_pixel else 0.0
    stability = Stability(threshold, 1.0, 0.0)
    canvas = Canvas(size[0] + 5, size[1] + 5, *canvas)
    expected = list(trace_plainly(logits, frame, canvas, stability))
    if cut:
        scaling = scaling_of(frame)
        logits = logits[:, : scaling.needed_rows, : scaling.needed_columns]
    assert trace_masks(logits, frame, canvas, stability) == expected
