import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from seg_assets.errors import InputError, StoreError
from seg_assets.storage.arrays import decode_float16, encode_float16


@given(st_numpy.arrays(np.float16, st_numpy.array_shapes(max_dims=3, max_side=4)))
def test_float16_comes_back_bit_by_bit(array: np.ndarray) -> None:
    decoded = decode_float16(encode_float16(array), array.shape)
    np.testing.assert_array_equal(decoded, array)


@given(st.floats(-65504, 65504))
def test_other_floats_round_to_the_nearest(value: float) -> None:
    assert decode_float16(encode_float16(np.array([value])), (1,))[0] == np.float16(value)


def test_bytes_are_little_endian() -> None:
    assert encode_float16(np.array([1.0, -2.0])) == b"\x00\x3c\x00\xc0"


def test_no_rows_are_no_bytes() -> None:
    assert decode_float16(encode_float16(np.zeros((0, 3, 4))), (0, 3, 4)).shape == (0, 3, 4)


def test_overflow_is_refused_but_infinity_is_kept() -> None:
    with pytest.raises(InputError, match="65504"):
        encode_float16(np.array([1e5]))
    assert np.isinf(decode_float16(encode_float16(np.array([np.inf])), (1,)))[0]


def test_bytes_of_another_shape_are_refused() -> None:
    with pytest.raises(StoreError, match="takes 12 bytes but 4 are stored"):
        decode_float16(b"1234", (2, 3))
