"""From scanner intensities to 8 bits."""

import numpy as np


def window_to_bytes(volume: np.ndarray, level: float, width: float) -> np.ndarray:
    """Cut a CT volume to a window and spread what is left over 0 to 255.

    The smallest value left becomes 0 and the largest 255, which are the window's ends wherever the
    volume reaches beyond them. Source: MedSAM, pre_CT_MR.py.

    Args:
        volume: (D, H, W) float32 Hounsfield units.
        level: middle of the window.
        width: width of the window.

    Returns:
        (D, H, W) uint8, rounded; all 0 for a volume of one value.
    """
    return _spread(np.clip(volume, level - width / 2, level + width / 2))


def percentiles_to_bytes(volume: np.ndarray, low: float, high: float) -> np.ndarray:
    """Cut an MR volume to percentiles of its voxels above 0 and spread it over 0 to 255.

    Voxels that are 0, outside the body, stay 0. Source: MedSAM, pre_CT_MR.py.

    Args:
        volume: (D, H, W) float32.
        low: lower percentile, 0 to 100.
        high: upper percentile, 0 to 100.

    Returns:
        (D, H, W) uint8, rounded; all 0 for a volume without voxels above 0.
    """
    positive = volume[volume > 0]
    if not len(positive):
        return np.zeros(volume.shape, np.uint8)
    lowest, highest = np.percentile(positive, (low, high))
    pixels = _spread(np.clip(volume, lowest, highest))
    pixels[volume == 0] = 0
    return pixels


def stretch_to_bytes(picture: np.ndarray) -> np.ndarray:
    """Spread a slice, (H, W) float32, over 0 to 255; (H, W) uint8, all 0 for one of one value."""
    return _spread(picture)


def _spread(values: np.ndarray) -> np.ndarray:
    lowest, highest = float(values.min()), float(values.max())
    if lowest == highest:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values - lowest) * (255.0 / (highest - lowest))).astype(np.uint8)
