"""Pictures of a training data set: upright JPEGs."""

import io

from PIL import Image
from PIL.ExifTags import Base as ExifTag

from seg_assets.data.images import decode_image, open_image

QUALITY = 95


def to_jpeg(data: bytes, where: str) -> tuple[bytes, int, int]:
    """Bring an image file to the form in which loaders without care for EXIF read it right.

    An upright grey or RGB JPEG stays as it is, byte for byte. Everything else is decoded and
    written as RGB JPEG of quality 95 without colour subsampling.

    Args:
        data: the file.
        where: its name, for messages.

    Returns:
        The JPEG, its height and width.

    Raises:
        ImageError: not an image, truncated, damaged, too large, or of unknown range.
    """
    decoded = decode_image(data, where)
    height, width = decoded.pixels.shape[:2]
    with open_image(data, where) as image:
        upright = image.getexif().get(ExifTag.Orientation, 1) == 1
        if image.format == "JPEG" and image.mode in ("L", "RGB") and upright:
            return data, height, width
    file = io.BytesIO()
    Image.fromarray(decoded.pixels).save(file, format="JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue(), height, width
