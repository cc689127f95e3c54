"""Mask logits without the digits that decide nothing, so that they compress.

Most of a mask is far inside or far outside, where its sigmoid is as good as 1 or 0 whatever the
logit's last digits are. There float16 keeps eleven bits of noise.
"""

import numpy as np

FAR = 16.0  # stands for every logit that is surely beyond: its sigmoid is 1e-7 away from 0 or 1
LARGEST_STEP = 1.0
# A pixel is interpolated from logits at most so many cells apart: two where the image has the
# size of the model's input, three where it is resized once more.
REACH = 2


def round_logits(logits: np.ndarray, tolerance: float) -> np.ndarray:
    """Round logits so that the sigmoid of what is interpolated between them hardly changes.

    What a change of a logit does to a pixel depends on how steep the sigmoid is at the pixel, whose
    logit lies between those around. So the step that a logit is rounded to follows from the
    steepest place in the range of its neighbours.

    Args:
        logits: (K, h, w) float.
        tolerance: how much the sigmoid of an interpolated logit may change, above 0.

    Returns:
        (K, h, w) float32: multiples of powers of two, or `FAR` to either side.
    """
    beyond = -np.log(tolerance)
    result = np.empty(logits.shape, np.float32)
    for values, rounded in zip(logits, result, strict=True):
        nearest = np.maximum(_smallest_around(values), _smallest_around(-values))
        nearest = np.clip(nearest, 0, FAR).astype(np.float64)  # distance of the range from 0
        inside = 1 / (1 + np.exp(-nearest))
        # The rounded range may begin half a step nearer to 0, where it is up to e^0.5 steeper.
        step = np.exp2(np.floor(np.log2(tolerance / (inside * (1 - inside)))))
        step = np.minimum(step, LARGEST_STEP)
        rounded[:] = np.rint(values / step) * step
        far = nearest >= beyond + LARGEST_STEP
        rounded[far] = np.copysign(FAR, values[far])
    return result


def _smallest_around(values: np.ndarray) -> np.ndarray:
    """The smallest number within `REACH` cells of each, diagonally too: (h, w)."""
    for axis in (0, 1):
        padding = [(REACH, REACH) if i == axis else (0, 0) for i in range(2)]
        padded = np.pad(values, padding, mode="edge")
        length = values.shape[axis]
        shifted = [np.take(padded, range(i, i + length), axis) for i in range(2 * REACH + 1)]
        values = np.minimum.reduce(shifted)
    return values
