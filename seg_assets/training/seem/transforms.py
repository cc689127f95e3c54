"""From an image of any size to the square that a training step takes, and by chance."""

import re
from dataclasses import replace

import numpy as np
from PIL import Image

from seg_assets.classes.table import IGNORE_ID
from seg_assets.training.seem.params import Augmentation
from seg_assets.training.seem.samples import SegmentationSample

JITTER = (0.1, 2.0)  # of the size at which the image just fits the square
PADDING = 128  # grey value outside of the image, as in the published recipe
_SIDE = re.compile(r"\b(?:left|right)(?=\b|most\b|hand\b)", re.IGNORECASE)
_OTHER_SIDE = {"left": "right", "right": "left"}


def augment(
    sample: SegmentationSample, size: int, augmentation: Augmentation, rng: np.random.Generator
) -> SegmentationSample:
    """Bring a sample to `size` x `size` pixels.

    Without scale jitter the sample is stretched to the square, as evaluation does it.

    Args:
        sample: of any size.
        size: side of the square.
        augmentation: what chance may do.
        rng: where it comes from.
    """
    if augmentation != "none" and rng.random() < 0.5:
        sample = mirror(sample)
    if augmentation == "lsj":
        return jitter_scale(sample, size, rng)
    return resize(sample, size, size)


def mirror(sample: SegmentationSample) -> SegmentationSample:
    """Swap left and right."""
    return replace(
        sample,
        image=np.ascontiguousarray(sample.image[:, ::-1]),
        masks=np.ascontiguousarray(sample.masks[:, :, ::-1]),
        referred=np.ascontiguousarray(sample.referred[:, :, ::-1]),
        label_map=np.ascontiguousarray(sample.label_map[:, ::-1]),
        sentences=tuple(tuple(_swap_sides(text) for text in texts) for texts in sample.sentences),
    )


def resize(sample: SegmentationSample, height: int, width: int) -> SegmentationSample:
    """Resize the image bicubically, masks and labels to the nearest pixel."""
    if sample.image.shape[:2] == (height, width):
        return sample
    rows = _nearest(sample.image.shape[0], height)
    columns = _nearest(sample.image.shape[1], width)
    resized = Image.fromarray(sample.image).resize((width, height), Image.Resampling.BICUBIC)
    return replace(
        sample,
        image=np.asarray(resized),
        masks=sample.masks[:, rows[:, None], columns],
        referred=sample.referred[:, rows[:, None], columns],
        label_map=sample.label_map[rows[:, None], columns],
    )


def jitter_scale(
    sample: SegmentationSample, size: int, rng: np.random.Generator
) -> SegmentationSample:
    """Scale by chance, then cut a random square out, or pad right and bottom."""
    height, width = sample.image.shape[:2]
    scale = rng.uniform(*JITTER) * size / max(height, width)
    scaled = resize(sample, max(1, round(height * scale)), max(1, round(width * scale)))
    height, width = scaled.image.shape[:2]
    top = int(rng.integers(max(0, height - size) + 1))
    left = int(rng.integers(max(0, width - size) + 1))
    part = slice(top, top + size), slice(left, left + size)
    below, behind = max(0, size - height), max(0, size - width)
    return replace(
        scaled,
        image=np.pad(
            scaled.image[part], [(0, below), (0, behind), (0, 0)], constant_values=PADDING
        ),
        masks=np.pad(scaled.masks[:, *part], [(0, 0), (0, below), (0, behind)]),
        referred=np.pad(scaled.referred[:, *part], [(0, 0), (0, below), (0, behind)]),
        label_map=np.pad(
            scaled.label_map[part], [(0, below), (0, behind)], constant_values=IGNORE_ID
        ),
    )


def _nearest(old: int, new: int) -> np.ndarray:
    """Index of the old cell under each new cell's centre: (new,) int64."""
    return ((np.arange(new) + 0.5) * old / new).astype(np.int64).clip(0, old - 1)


def _swap_sides(text: str) -> str:
    """The text as it is true of the mirror image: "the leftmost car" is the rightmost one there."""
    return _SIDE.sub(lambda found: _OTHER_SIDE[found[0].lower()], text)
