"""One image, its ground truth, and what several methods made of it, side by side."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.viz.contact_sheet import side_by_side
from seg_assets.viz.overlay import overlay

WRONG = (214, 39, 40)
RIGHT = (44, 160, 44)
ALPHA = 0.75
HEIGHT = 240  # of the pictures, so that the titles can be read when all are seen at once


def draw_comparison(
    image: np.ndarray, truth: np.ndarray, label_maps: Mapping[str, np.ndarray], table: ClassTable
) -> np.ndarray:
    """Draw the image, the truth, each label map, and where the first of them is wrong; all small.

    Args:
        image: (H, W, 3) uint8 RGB.
        truth: (H, W) uint8 ids of `table`, 255 = not known.
        label_maps: (H, W) uint8 ids of `table` by title, 255 = no label; at least one.
        table: the classes.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    image, truth = _small(image), _small(truth)
    label_maps = {title: _small(found) for title, found in label_maps.items()}
    first = next(iter(label_maps))
    pictures = {
        "image": image,
        "ground truth": overlay(image, truth, table, alpha=ALPHA),
        **{title: overlay(image, found, table, alpha=ALPHA) for title, found in label_maps.items()},
        f"{first}: right and wrong": draw_errors(image, label_maps[first], truth),
    }
    return side_by_side(list(pictures.values()), list(pictures))


def draw_errors(image: np.ndarray, label_map: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Tint wrong pixels red and right ones green; those without a true label stay grey.

    Args:
        image: (H, W, 3) uint8 RGB.
        label_map: (H, W) uint8.
        truth: (H, W) uint8, 255 = not known.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    grey = image.astype(np.float32).mean(axis=2, keepdims=True).repeat(3, axis=2)
    known = truth != IGNORE_ID
    wrong = known & (label_map != truth)
    for pixels, color, alpha in ((wrong, WRONG, 0.6), (known & ~wrong, RIGHT, 0.25)):
        grey[pixels] = (1 - alpha) * grey[pixels] + alpha * np.array(color, np.float32)
    return np.rint(grey).astype(np.uint8)


def _small(pixels: np.ndarray) -> np.ndarray:
    """Shrink (H, W, 3) colours smoothly and (H, W) ids by the nearest; small ones stay."""
    height, width = pixels.shape[:2]
    if height <= HEIGHT:
        return pixels
    way = Image.Resampling.LANCZOS if pixels.ndim == 3 else Image.Resampling.NEAREST
    size = (max(round(width * HEIGHT / height), 1), HEIGHT)
    return np.asarray(Image.fromarray(pixels).resize(size, way))
