import io

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.panoptic.panoptic_png import decode_panoptic, encode_panoptic
from seg_assets.errors import ImageError


def test_ids_survive_and_bytes_repeat() -> None:
    ids = np.random.default_rng(0).integers(0, 1 << 24, (31, 17))
    data = encode_panoptic(ids)
    assert data == encode_panoptic(ids)
    np.testing.assert_array_equal(decode_panoptic(data, "a.png"), ids)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "RGB"
        red, green, blue = np.asarray(picture)[3, 5].tolist()
    assert red + 256 * green + 65536 * blue == ids[3, 5]


def png(mode: str) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (8, 8)).save(file, format="PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png("L"), r"a.png has no 24-bit colours \(L\)"),
        (png("I;16"), "has no 24-bit colours"),
        (encode_panoptic(np.arange(900).reshape(30, 30))[:-40], "truncated or damaged"),
        (b"no picture", "not an image of a known format"),
    ],
    ids=["grey", "16 bits", "cut", "text"],
)
def test_other_files_are_refused_with_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode_panoptic(data, "a.png")
