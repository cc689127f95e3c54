"""A small seeded model and images on which it finds tens of masks of many shapes."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from seg_assets.masks.upscaling.tracer import torch_rounding
from seg_assets.modeling.sam import TINY, build_sam

# isort: split
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, Sam

needs_the_fast_way = pytest.mark.skipif(
    torch_rounding() is None,
    reason="torch rounds otherwise on this machine, so that masks are upscaled by torch",
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_sam() -> Sam:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(20)
        return build_sam(TINY)


class _PlainEncoder(ImageEncoderViT):
    pass


class _PlainDecoder(MaskDecoder):
    pass


def with_plain_arithmetic(sam: Sam) -> Sam:
    """A copy whose parts are of types that our fast passes do not know.

    The package's own arithmetic then runs, so that all that comes before and after it can be
    compared bit for bit. How near the fast passes come is tested with them.
    """
    sam = copy.deepcopy(sam)
    sam.image_encoder.__class__ = _PlainEncoder
    sam.mask_decoder.__class__ = _PlainDecoder
    return sam


@pytest.fixture(scope="session")
def plain_sam(tiny_sam: Sam) -> Sam:
    return with_plain_arithmetic(tiny_sam)


@pytest.fixture(scope="session")
def patches() -> Callable[[int, int], np.ndarray]:
    """Soft coloured patches, (H, W, 3) uint8."""

    def draw(height: int, width: int) -> np.ndarray:
        colours = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        return np.array(Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC))

    return draw
