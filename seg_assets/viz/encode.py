"""Pictures as PNG or JPEG bytes under a limit, for metadata and reports."""

import io

import numpy as np
from PIL import Image

from seg_assets.errors import InputError

QUALITIES = (90, 82, 74, 64, 52)
SMALLEST_SIDE = 32  # a picture that would have to become smaller than this is of no use
SHRINK = 0.8


def png_bytes(image: np.ndarray, max_bytes: int = 150_000) -> bytes:
    """Encode as PNG; if that is too large, with 256 colours, and then smaller and smaller.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        max_bytes: Upper limit of the result.

    Returns:
        The file's bytes.

    Raises:
        InputError: Not even a very small picture fits.
    """
    picture = _picture(image)
    data = _encode(picture, "PNG", optimize=True)
    while len(data) > max_bytes:
        data = _encode(_reduce_colors(picture), "PNG", optimize=True)
        if len(data) > max_bytes:
            picture = _shrink(picture, max_bytes)
    return data


def jpeg_bytes(image: np.ndarray, max_bytes: int = 150_000) -> bytes:
    """Encode as JPEG; if that is too large, with lower quality, and then smaller and smaller.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        max_bytes: Upper limit of the result.

    Returns:
        The file's bytes.

    Raises:
        InputError: Not even a very small picture fits.
    """
    picture = _picture(image)
    while True:
        for quality in QUALITIES:
            data = _encode(picture, "JPEG", quality=quality, optimize=True)
            if len(data) <= max_bytes:
                return data
        picture = _shrink(picture, max_bytes)


def _picture(image: np.ndarray) -> Image.Image:
    if image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            f"A picture of dtype {image.dtype} and shape {image.shape} cannot be encoded; "
            f"give (H, W, 3) or (H, W) uint8."
        )
    return Image.fromarray(image)


def _reduce_colors(picture: Image.Image) -> Image.Image:
    """Bring a picture to 256 colours of its own, dithered so that gradients stay smooth."""
    if picture.mode != "RGB":
        return picture
    palette = picture.quantize(256)
    return picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def _encode(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=form, **options)
    return buffer.getvalue()


def _shrink(picture: Image.Image, max_bytes: int) -> Image.Image:
    width, height = int(picture.width * SHRINK), int(picture.height * SHRINK)
    if max(width, height) < SMALLEST_SIDE or min(width, height) < 1:
        raise InputError(
            f"A picture cannot be made to fit into {max_bytes} bytes; allow more bytes."
        )
    return picture.resize((width, height), Image.Resampling.BOX)
