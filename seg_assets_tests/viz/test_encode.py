import io

import numpy as np
import pytest
from PIL import Image

from seg_assets.errors import InputError
from seg_assets.viz.encode import jpeg_bytes, png_bytes

NOISE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
FLAT = np.full((50, 60, 3), 90, np.uint8)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_png_that_fits_is_lossless():
    assert np.array_equal(np.asarray(opened(png_bytes(FLAT))), FLAT)
    assert np.array_equal(np.asarray(opened(png_bytes(NOISE, 400_000))), NOISE)


def test_grey_pictures_are_encoded_too():
    assert np.array_equal(np.asarray(opened(png_bytes(FLAT[..., 0]))), FLAT[..., 0])
    assert opened(jpeg_bytes(FLAT[..., 0])).size == (60, 50)


@pytest.mark.parametrize("encode", [png_bytes, jpeg_bytes])
@pytest.mark.parametrize("limit", [80_000, 20_000, 4_000])
def test_large_pictures_are_made_to_fit(encode, limit):
    data = encode(NOISE, limit)
    assert len(data) <= limit
    width, height = opened(data).size
    assert abs(width / height - 1.5) < 0.1


def test_jpeg_prefers_lower_quality_to_fewer_pixels():
    whole = len(jpeg_bytes(NOISE, 10**6))
    assert opened(jpeg_bytes(NOISE, int(whole * 0.7))).size == (300, 200)


@pytest.mark.parametrize("encode", [png_bytes, jpeg_bytes])
def test_an_impossible_limit_is_an_error(encode):
    with pytest.raises(InputError, match="40 bytes"):
        encode(NOISE, 40)


@pytest.mark.parametrize("image", [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(InputError, match="cannot be encoded"):
        png_bytes(image)
