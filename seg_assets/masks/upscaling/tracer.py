"""From low-resolution logits to run lengths, box, area and stability of the stable masks."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import product, starmap

import numpy as np
import torch

from seg_assets.masks.rle import Rle
from seg_assets.masks.upscaling import kernel
from seg_assets.masks.upscaling.axes import scaling_of
from seg_assets.masks.upscaling.grid import Grid, Rounding, grid_of
from seg_assets.masks.upscaling.plain import trace_plainly, upscale_logits
from seg_assets.masks.upscaling.traced import Canvas, Stability, TracedMask
from seg_assets.masks.upscaling.workspace import workspace_for
from seg_assets.modeling.mask_models.frame import MaskFrame

logger = logging.getLogger(__name__)

# Where a thread's buffers begin: places at which a mask's columns may enter or leave it, and bytes
# of run lengths. They grow for masks that need more.
_TOGGLES = 1 << 16
_BYTES = 1 << 20

_MASKS_PER_THREAD = 4

# torch takes another way, with another rounding, for outputs of so few rows and columns together.
# Source: _use_vectorized_kernel_cond_2d in aten/src/ATen/native/cpu/UpSampleKernel.cpp.
_SMALL = 128


def trace_masks(
    logits: torch.Tensor,
    frame: MaskFrame,
    canvas: Canvas,
    stability: Stability,
    threads: int | None = None,
) -> list[TracedMask]:
    """The stable masks among N, equal to the last bit to upscaling them with torch on the CPU.

    Nothing exists at full resolution: memory grows with the length of the masks' outlines. Where
    `torch_rounding` finds no way to that, torch upscales them on the device they are on.

    Args:
        logits: (N, rows, columns) float on any device; rows and columns that only padding depends
            on may be missing.
        frame: Where they lie.
        canvas: The image that the frame is a part of.
        stability: Thresholds.
        threads: How many share the work; None = as many as torch uses.

    Raises:
        ValueError: Rows or columns are missing that the image depends on.
    """
    logits = logits.detach().float()
    if _is_small(frame):
        return list(trace_plainly(logits.cpu(), frame, canvas, stability))
    rounding = torch_rounding()
    if rounding is None:
        return list(trace_plainly(logits, frame, canvas, stability))
    grid = _grid(frame, rounding)
    values = logits.cpu().contiguous().numpy()
    rows, columns = values.shape[1:]
    if rows < len(grid.first_band) or columns < len(grid.first_column):
        raise ValueError(
            f"an image of {frame.image_size} depends on {len(grid.first_band)} x "
            f"{len(grid.first_column)} logits, but there are {rows} x {columns}"
        )
    threads = min(threads or torch.get_num_threads(), -(-len(values) // _MASKS_PER_THREAD))
    if threads <= 1:
        return list(_trace_on_one_thread(values, 0, grid, frame, canvas, stability))
    bounds = np.linspace(0, len(values), threads + 1).astype(int)

    def part(i: int) -> list[TracedMask]:
        chunk = values[bounds[i] : bounds[i + 1]]
        return list(_trace_on_one_thread(chunk, int(bounds[i]), grid, frame, canvas, stability))

    return [mask for masks in _pool(threads).map(part, range(threads)) for mask in masks]


def _is_small(frame: MaskFrame) -> bool:
    """Whether torch takes the way for few rows and columns in one of the two steps."""
    return sum(frame.image_size) <= _SMALL or (frame.through_square and 2 * frame.square <= _SMALL)


def _trace_on_one_thread(
    logits: np.ndarray,
    first: int,
    grid: Grid,
    frame: MaskFrame,
    canvas: Canvas,
    stability: Stability,
) -> Iterator[TracedMask]:
    """Trace with buffers that grow where a mask does not fit in; indices begin at `first`."""
    offset = stability.offset
    with np.errstate(over="ignore"):  # what float32 has no number for is infinite
        thresholds = (
            np.float32(stability.threshold - offset),
            np.float32(stability.threshold),
            np.float32(stability.threshold + offset),
        )
    toggles, size = _TOGGLES, _BYTES
    work, out = workspace_for(grid, toggles), np.empty(size, np.uint8)
    table = np.empty((len(logits), kernel.END + 1), np.int64)
    place = (canvas.height, canvas.width, canvas.row, canvas.column)
    least = np.float32(stability.least)
    done = 0
    while done < len(logits):
        chunk = logits[done:]
        finished = kernel.trace_masks(chunk, grid, thresholds, least, place, work, out, table)
        rows = table[:finished]
        ragged = np.flatnonzero(rows[:, kernel.STATUS] == kernel.TOO_RAGGED)
        stop = int(ragged[0]) if len(ragged) else finished
        for n, row in enumerate(rows[:stop].tolist()):
            index = first + done + n
            if row[kernel.STATUS] == kernel.NOT_FINITE:
                alone = torch.from_numpy(chunk[n : n + 1])
                for mask in trace_plainly(alone, frame, canvas, stability):
                    yield TracedMask(index, mask.rle, mask.corners, mask.area, mask.stability)
            elif row[kernel.STATUS] == kernel.TRACED:
                yield _traced(index, row, out, canvas)
        done += stop
        if len(ragged):
            toggles *= 4
            work = workspace_for(grid, toggles)
        elif finished == 0:
            size *= 4
            out = np.empty(size, np.uint8)


def _traced(index: int, row: list[int], out: np.ndarray, canvas: Canvas) -> TracedMask:
    counts = out[row[kernel.BEGIN] : row[kernel.END]].tobytes()
    return TracedMask(
        index=index,
        rle=Rle(canvas.height, canvas.width, counts),
        corners=(row[kernel.X0], row[kernel.Y0], row[kernel.X1], row[kernel.Y1]),
        area=row[kernel.AREA],
        stability=float(np.float32(row[kernel.TIGHT_AREA]) / np.float32(row[kernel.LOOSE_AREA])),
    )


@lru_cache(maxsize=32)
def _grid(frame: MaskFrame, rounding: Rounding) -> Grid:
    return grid_of(scaling_of(frame), rounding)


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="trace-masks")


@lru_cache(maxsize=1)
def torch_rounding() -> Rounding | None:
    """Which of a blend's two products torch rounds on this machine; measured once.

    Compilers may fuse either product of `w0 * a + w1 * b` with the addition, and torch brings
    several compilations along (AVX2, AVX-512, NEON). Thresholds are put onto the values of single
    pixels, so that one bit of difference shows.

    Returns:
        None where torch rounds neither or both: the fast way is then not exact, and masks are
        upscaled by torch.
    """
    frame = MaskFrame(image_size=(77, 101), input_size=(98, 128), square=128, logits_size=(32, 32))
    random = np.random.default_rng(0)
    logits = torch.from_numpy(random.normal(0, 3, (1, 32, 32)).astype(np.float32))
    canvas = Canvas(*frame.image_size)
    pixels = upscale_logits(logits, frame).flatten()
    cuts = [Stability(value, 0.0, 0.0) for value in pixels[:: len(pixels) // 64].tolist()]
    expected = [list(trace_plainly(logits, frame, canvas, cut)) for cut in cuts]
    for rounding in starmap(Rounding, product((True, False), repeat=2)):
        grid = _grid(frame, rounding)
        found = [
            list(_trace_on_one_thread(logits.numpy(), 0, grid, frame, canvas, cut)) for cut in cuts
        ]
        if found == expected:
            return rounding
    logger.warning(
        "torch rounds otherwise on this machine than the fast way from logits to masks: masks are "
        "upscaled by torch, which takes longer"
    )
    return None
