"""Images as other programs read them right: upright, in a format that all of them know."""

import io
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from PIL import Image
from PIL.ExifTags import Base as ExifTag

from seg_assets.data.images import (
    IMAGE_SUFFIXES,
    decode_image,
    open_image,
    read_row_bytes,
    reference_of,
)
from seg_assets.data.panoptic.pictures import to_jpeg

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}


def suffix_of(row: Mapping[str, Any]) -> str:
    """The extension of an image's own file, from its row of `raw_images`."""
    if row["offset"] is None:
        suffix = PurePosixPath(row["uri"]).suffix
        if suffix.lower() in IMAGE_SUFFIXES:
            return suffix
    return _SUFFIXES[row["format"]]


def has_suffix(row: Mapping[str, Any], suffix: str) -> bool:
    """Whether an image's id ends in its extension already, from its row of `raw_images`.

    Ids keep it where two files differ in nothing else (a.jpg, a.png). The id of a file a.jpg.jpg
    only looks like that, and a.jpg may lie beside it.
    """
    image_id = row["image_id"]
    if not image_id.lower().endswith(suffix.lower()):
        return False
    of_file = row["offset"] is None
    return not of_file or PurePosixPath(row["uri"]).name == PurePosixPath(image_id).name


def read_picture(row: Mapping[str, Any]) -> tuple[bytes, str]:
    """Read the image of a row of `raw_images` so that its pixels lie under its label map.

    Programs differ in whether they heed a photo's orientation tag. An upright JPEG or PNG, grey or
    RGB with 8 bits, stays as it is, byte for byte. A JPEG of another kind is written as RGB JPEG
    of quality 95, everything else as RGB PNG.

    Returns:
        The file and its extension, ".jpg" or ".png".

    Raises:
        ImageError: the file is missing, damaged, or no longer what the row's SHA-256 says.
        StoreError: the storage does not answer.
    """
    where = reference_of(row).where
    data = read_row_bytes(row)
    if row["format"] == "JPEG":
        return to_jpeg(data, where)[0], ".jpg"
    with open_image(data, where) as image:
        upright = image.getexif().get(ExifTag.Orientation, 1) == 1
        if image.format == "PNG" and image.mode in ("L", "RGB") and upright:
            return data, ".png"
    file = io.BytesIO()
    Image.fromarray(decode_image(data, where).pixels).save(file, format="PNG", compress_level=4)
    return file.getvalue(), ".png"
