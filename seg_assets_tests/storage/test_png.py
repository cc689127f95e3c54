import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from PIL import Image

from seg_assets.errors import InputError, StoreError
from seg_assets.storage.png import decode_label_map, encode_label_map, png_cell

PALETTE = np.arange(768, dtype=np.int64).reshape(256, 3).astype(np.uint8)


@given(st_numpy.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_every_id_comes_back(label_map: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_label_map(encode_label_map(label_map, PALETTE)), label_map)


def test_a_map_larger_than_pillows_limit_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    label_map = np.eye(9, dtype=np.uint8)
    data = encode_label_map(label_map, PALETTE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(decode_label_map(data), label_map)


def test_other_programs_see_the_colours() -> None:
    label_map = np.array([[0, 7], [255, 7]], np.uint8)
    with Image.open(io.BytesIO(encode_label_map(label_map, PALETTE))) as picture:
        np.testing.assert_array_equal(np.array(picture.convert("RGB")), PALETTE[label_map])


def test_a_view_with_other_strides_is_encoded_as_it_looks() -> None:
    label_map = np.arange(6, dtype=np.uint8).reshape(2, 3).T[:, ::-1]
    np.testing.assert_array_equal(decode_label_map(encode_label_map(label_map, PALETTE)), label_map)


def test_a_cell_names_the_picture_after_its_image() -> None:
    assert png_cell(np.zeros((1, 1), np.uint8), PALETTE, "city/a")["path"] == "city/a.png"


@pytest.mark.parametrize(
    ("label_map", "palette"),
    [
        (np.zeros((2, 2), np.int32), PALETTE),
        (np.zeros((2, 2, 1), np.uint8), PALETTE),
        (np.zeros((0, 2), np.uint8), PALETTE),
        (np.zeros((2, 2), np.uint8), PALETTE[:19]),
        (np.zeros((2, 2), np.uint8), PALETTE.astype(float)),
    ],
)
def test_other_shapes_and_types_are_refused(label_map: np.ndarray, palette: np.ndarray) -> None:
    with pytest.raises(InputError, match="uint8"):
        encode_label_map(label_map, palette)


def test_truncated_bytes_and_other_pictures_are_named() -> None:
    data = encode_label_map(np.zeros((50, 50), np.uint8), PALETTE)
    for broken in (b"", b"text", data[:40], data[:-30]):
        with pytest.raises(StoreError, match="not a readable PNG"):
            decode_label_map(broken)
    colours = io.BytesIO()
    Image.new("RGB", (2, 2)).save(colours, "PNG")
    with pytest.raises(StoreError, match="mode RGB"):
        decode_label_map(colours.getvalue())
