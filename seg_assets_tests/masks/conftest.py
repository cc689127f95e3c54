"""A small seeded model and images on which it finds tens of masks of many shapes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from seg_assets.modeling.sam import TINY, build_sam

# isort: split
from segment_anything.modeling import Sam


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_sam() -> Sam:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(20)
        return build_sam(TINY)


@pytest.fixture(scope="session")
def patches() -> Callable[[int, int], np.ndarray]:
    """Soft coloured patches, (H, W, 3) uint8."""

    def draw(height: int, width: int) -> np.ndarray:
        colours = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        return np.array(Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC))

    return draw
