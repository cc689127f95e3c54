"""The plain way from logits to run lengths, in torch: every mask at full resolution once.

It serves where the fast way is not exact: logits that are not finite, and machines on which torch
rounds otherwise. Memory is bounded all the same: few masks are upscaled at a time.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

from seg_assets.masks.rle import Rle
from seg_assets.masks.upscaling.traced import Canvas, Stability, TracedMask
from seg_assets.modeling.mask_models.frame import MaskFrame

# Logits that may exist at full resolution at the same time (one mask's at least): 16 MB of float32.
_PIXELS_AT_ONCE = 1 << 22


def upscale_logits(logits: torch.Tensor, frame: MaskFrame) -> torch.Tensor:
    """Bring N masks' logits, (N, rows, columns), to the image's size, (N, H, W).

    Rows and columns that only padding depends on may be missing.
    """
    rows, columns = frame.logits_size
    missing = (0, columns - logits.shape[2], 0, rows - logits.shape[1])
    full = F.pad(logits, missing)[:, None] if any(missing) else logits[:, None]
    if frame.through_square:
        size = (frame.square, frame.square)
        full = F.interpolate(full, size, mode="bilinear", align_corners=False)
        full = full[..., : frame.input_size[0], : frame.input_size[1]]
    return F.interpolate(full, frame.image_size, mode="bilinear", align_corners=False)[:, 0]


def masks_at_once(frame: MaskFrame) -> int:
    """How many masks may be upscaled together, so that few exist at full resolution at a time."""
    rows, columns = frame.image_size
    return max(_PIXELS_AT_ONCE // max(rows * columns, frame.square**2), 1)


def trace_plainly(
    logits: torch.Tensor, frame: MaskFrame, canvas: Canvas, stability: Stability
) -> Iterator[TracedMask]:
    """Upscale, measure and encode masks; those that are stable and not empty come out, in order.

    Args:
        logits: (N, rows, columns) float32 on any device.
        frame: Where they lie.
        canvas: The image that the frame is a part of.
        stability: Thresholds.
    """
    at_once = masks_at_once(frame)
    for start in range(0, len(logits), at_once):
        with torch.inference_mode():
            full = upscale_logits(logits[start : start + at_once], frame)
            # The tighter mask lies inside the looser one: areas are intersection and union.
            tight = (full > stability.threshold + stability.offset).sum((1, 2))
            loose = (full > stability.threshold - stability.offset).sum((1, 2))
            scores = tight / loose  # NaN where even the looser mask is empty
            stable = (scores >= stability.least).nonzero().flatten().tolist()
        for i in stable:
            mask = (full[i] > stability.threshold).cpu().numpy()
            if not mask.any():
                continue
            rle = _encode(mask, canvas)
            yield TracedMask(start + i, rle, rle.corners, rle.area, float(scores[i]))


def _encode(mask: np.ndarray, canvas: Canvas) -> Rle:
    if mask.shape == (canvas.height, canvas.width):
        return Rle.encode(mask)
    whole = np.zeros((canvas.height, canvas.width), np.bool_)
    rows, columns = mask.shape
    whole[canvas.row : canvas.row + rows, canvas.column : canvas.column + columns] = mask
    return Rle.encode(whole)
