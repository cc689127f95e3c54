import io

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.panoptic.pictures import to_jpeg
from seg_assets.errors import ImageError

SMOOTH = np.stack(np.broadcast_arrays(np.arange(60)[:, None] * 4, np.arange(80) * 3, 90), -1)


def encoded(form: str, image: Image.Image | None = None, **options) -> bytes:
    file = io.BytesIO()
    (image or Image.fromarray(SMOOTH.astype(np.uint8))).save(file, format=form, **options)
    return file.getvalue()


def test_an_upright_jpeg_stays_byte_for_byte() -> None:
    data = encoded("JPEG", quality=60)
    assert to_jpeg(data, "a.jpg") == (data, 60, 80)


def test_other_files_become_jpegs_of_the_same_pixels_the_same_every_time() -> None:
    data, height, width = to_jpeg(encoded("PNG"), "a.png")
    assert (height, width) == (60, 80)
    assert data == to_jpeg(encoded("PNG"), "a.png")[0]
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        difference = np.abs(np.asarray(image).astype(int) - SMOOTH)
    assert difference.max() <= 4


def test_a_turned_jpeg_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data, height, width = to_jpeg(encoded("JPEG", exif=exif.tobytes()), "a.jpg")
    assert (height, width) == (80, 60)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (60, 80)
        assert image.getexif().get(0x0112) is None


def test_cmyk_becomes_rgb() -> None:
    cmyk = encoded("JPEG", Image.new("CMYK", (8, 6), (0, 255, 255, 0)))
    data, _, _ = to_jpeg(cmyk, "a.jpg")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"


def test_a_damaged_picture_is_refused() -> None:
    with pytest.raises(ImageError, match=r"a\.jpg is truncated or damaged"):
        to_jpeg(encoded("JPEG")[:-200], "a.jpg")
