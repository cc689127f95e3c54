"""Panoptic PNGs: a colour per segment, id = R + 256 G + 65536 B."""

import io

import numpy as np
from PIL import Image

from seg_assets.data.images import open_image
from seg_assets.data.panoptic.colors import id_to_rgb, rgb_to_id
from seg_assets.errors import ImageError


def encode_panoptic(ids: np.ndarray) -> bytes:
    """Encode a map of segment ids as a 24-bit PNG; the same map gives the same bytes.

    Args:
        ids: (H, W) integers, 0..16777215; 0 where there is no segment.
    """
    file = io.BytesIO()
    Image.fromarray(id_to_rgb(ids)).save(file, format="PNG", compress_level=4)
    return file.getvalue()


def decode_panoptic(data: bytes, where: str) -> np.ndarray:
    """Decode a panoptic PNG.

    Args:
        data: the file.
        where: its name, for messages.

    Returns:
        (H, W) int32 segment ids, 0 where there is no segment.

    Raises:
        ImageError: not a PNG, damaged, or without colours.
    """
    image = open_image(data, where, formats=("PNG",))
    if image.mode not in ("RGB", "P"):
        raise ImageError(
            f"the panoptic map {where} has no 24-bit colours ({image.mode}): its segment ids are "
            "R + 256 G + 65536 B"
        )
    try:
        pixels = np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(
            f"the panoptic map {where} is truncated or damaged ({error}): fetch it again"
        ) from error
    return rgb_to_id(pixels)
