"""From the bytes of any common image file to upright 8-bit RGB."""

import hashlib
import io
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as ExifTag

from seg_assets.data.files import StorageOptions, read_bytes
from seg_assets.data.shards import ImageRef
from seg_assets.errors import ImageError, InputError

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

# What Pillow may recognise, whatever the name says; nothing here runs another program, as Pillow's
# EPS reader does.
PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")

MAX_PIXELS_VARIABLE = "SEG_MAX_IMAGE_PIXELS"
# Pillow's own limit, above which it takes an image for an attack.
DEFAULT_MAX_PIXELS = 178_956_970

# EXIF orientation -> (transpose, flip rows, flip columns), applied in this order.
# Source: the table of tag 0x0112 in the EXIF 2.3 standard.
_ORIENTATIONS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}

_open_lock = threading.Lock()


def check_rgb(image: np.ndarray) -> None:
    """Refuse an array that is no image.

    Raises:
        InputError: it is not (H, W, 3) uint8, or has no pixels.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            f"an image to segment must be (H, W, 3) uint8 RGB with pixels in it, "
            f"got {image.dtype} of {image.shape}"
        )


@dataclass(frozen=True)
class DecodedImage:
    """An image as every stage sees it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, contiguous, upright.
        format: what the file was: "JPEG", "PNG", "BMP", "TIFF" or "WEBP".
    """

    pixels: np.ndarray
    format: str


def read_image(
    source: ImageRef | str | os.PathLike[str], storage_options: StorageOptions = None
) -> np.ndarray:
    """Read one image from a path, a URL or a shard's reference.

    Args:
        source: where the image lies.
        storage_options: keyword arguments of the fsspec file system.

    Returns:
        (H, W, 3) uint8 RGB, upright.

    Raises:
        ImageError: the file is missing or is not a whole, readable image.
        StoreError: the storage does not answer.
    """
    if isinstance(source, ImageRef):
        data = read_bytes(source.uri, source.offset, source.size, storage_options)
        return decode_image(data, source.where).pixels
    uri = os.fspath(source)
    return decode_image(read_bytes(uri, storage_options=storage_options), uri).pixels


def read_row(row: Mapping[str, Any], storage_options: StorageOptions = None) -> np.ndarray:
    """Read the image that a row of `raw_images` refers to.

    Returns:
        (H, W, 3) uint8 RGB, upright.

    Raises:
        ImageError: the file is missing, damaged, or no longer what the row's SHA-256 says.
        StoreError: the storage does not answer.
    """
    return decode_image(read_row_bytes(row, storage_options), reference_of(row).where).pixels


def reference_of(row: Mapping[str, Any]) -> ImageRef:
    """Return where the image of a row of `raw_images` lies."""
    return ImageRef(row["image_id"], row["uri"], row["offset"], row["size"])


def read_row_bytes(row: Mapping[str, Any], storage_options: StorageOptions = None) -> bytes:
    """Read the file of the image that a row of `raw_images` refers to.

    Raises:
        ImageError: the file is missing, or no longer what the row's SHA-256 says.
        StoreError: the storage does not answer.
    """
    reference = reference_of(row)
    data = read_bytes(reference.uri, reference.offset, reference.size, storage_options)
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise ImageError(
            f"{reference.where} has changed since raw_images was written: "
            "materialise raw_images again with recompute"
        )
    return data


def decode_image(data: bytes, where: str) -> DecodedImage:
    """Decode an image file.

    The EXIF (or XMP) orientation is applied. Of several frames or pages the first is taken. Colour
    profiles are not applied. Grey becomes three equal channels; palettes are looked up; transparent
    pixels are composited on white; CMYK is converted by Pillow. 16-bit grey is scaled by 1/257 and
    rounded; 16-bit colour is what Pillow makes of it (the high byte, at most one level away).
    32-bit integers count as 8-bit where none exceeds 255, else as 16-bit; floating point counts as
    0 to 1 where none exceeds 1, else as 0 to 255; other ranges are errors.

    Args:
        data: the file's bytes.
        where: name of the file for messages.

    Raises:
        ImageError: not an image, truncated, damaged, too large, or of unknown range.
        InputError: the environment variable SEG_MAX_IMAGE_PIXELS is not a number.
    """
    image = open_image(data, where)
    try:
        image.load()
        pixels = _to_rgb(image, where)
        orientation = _orientation(image, where)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # as in open_image
        raise ImageError(f"{where} is truncated or damaged ({error}): fetch it again") from error
    # phones write MPO, a JPEG with a second one behind it
    image_format = "JPEG" if image.format == "MPO" else str(image.format)
    return DecodedImage(_turn_upright(pixels, orientation), image_format)


def open_image(data: bytes, where: str, formats: Sequence[str] = PILLOW_FORMATS) -> Image.Image:
    """Read an image's header; the pixels are still to be loaded.

    Args:
        data: the file's bytes.
        where: name of the file for messages.
        formats: what Pillow may recognise.

    Raises:
        ImageError: empty, not one of the formats, a damaged header, or too many pixels.
        InputError: the environment variable SEG_MAX_IMAGE_PIXELS is not a number.
    """
    if not data:
        raise ImageError(f"{where} is empty (0 bytes): fetch it again")
    # Our own limit, which may be higher, is checked instead of Pillow's; only headers are read.
    with _open_lock:
        pillow_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(io.BytesIO(data), formats=list(formats))
        except UnidentifiedImageError as error:
            raise ImageError(
                f"{where} is not an image of a known format ({', '.join(formats)}): "
                "remove it or convert it"
            ) from error
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
            raise ImageError(f"{where} has a damaged header ({error}): fetch it again") from error
        finally:
            Image.MAX_IMAGE_PIXELS = pillow_limit
    width, height = image.size
    limit = max_pixels()
    if width * height > limit:
        raise ImageError(
            f"{where} has {width} x {height} pixels, more than the limit of {limit}: "
            f"make it smaller or raise {MAX_PIXELS_VARIABLE}"
        )
    return image


def max_pixels() -> int:
    """The largest number of pixels that an image may have.

    Raises:
        InputError: the environment variable SEG_MAX_IMAGE_PIXELS is not a number.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, str(DEFAULT_MAX_PIXELS))
    if not text.isdecimal() or int(text) == 0:
        raise InputError(
            f"the environment variable {MAX_PIXELS_VARIABLE} is {text!r}: set it to a number of "
            "pixels above 0 or remove it"
        )
    return int(text)


def _to_rgb(image: Image.Image, where: str) -> np.ndarray:
    """Bring any Pillow mode to (H, W, 3) uint8, in the orientation of the file."""
    if image.mode == "F" or image.mode.startswith("I"):
        return np.repeat(_scale_grey(image, where)[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        if image.mode in ("La", "RGBa"):  # premultiplied
            image = image.convert("LA" if image.mode == "La" else "RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _scale_grey(image: Image.Image, where: str) -> np.ndarray:
    """Scale grey of more than 8 bits, (H, W) of integers or floats, to uint8."""
    values = np.asarray(image).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    # older Pillow releases open a 16-bit PNG as 32-bit integers
    sixteen_bit = image.mode.startswith("I;16") or image.format == "PNG"
    if image.mode == "F":
        top, known = (1.0 if high <= 1 else 255.0), low >= 0 and high <= 255
    else:
        top = 65535.0 if sixteen_bit or high > 255 else 255.0
        known = low >= 0 and high <= 65535
    if not known:  # also when there is a NaN
        raise ImageError(
            f"{where} has pixel values from {low:g} to {high:g}, which have no known scale: "
            "convert it to 8 or 16 bits"
        )
    return np.floor(values * (255.0 / top) + 0.5).astype(np.uint8)


def _orientation(image: Image.Image, where: str) -> int:
    """EXIF orientation, 1 to 8; asked after loading, when Pillow has turned a TIFF by itself."""
    try:
        orientation = image.getexif().get(ExifTag.Orientation, 1)
    except Exception as error:  # damaged metadata does not make the pixels unreadable
        logger.warning("%s has unreadable EXIF data (%s): taken as upright", where, error)
        return 1
    return orientation if orientation in _ORIENTATIONS else 1


def _turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    transpose, flip_rows, flip_columns = _ORIENTATIONS[orientation]
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    if flip_rows:
        pixels = pixels[::-1]
    if flip_columns:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
