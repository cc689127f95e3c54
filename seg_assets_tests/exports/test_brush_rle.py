import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg_assets.errors import InputError
from seg_assets.exports.brush_rle import decode_brush, encode_brush
from seg_assets.exports.segments import segment_bounds

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 40)))


def encode(mask: np.ndarray) -> bytes:
    return encode_brush(dict(segment_bounds(mask)).get(1, np.zeros(0, np.int64)), mask.size)


def read_bits(data: bytes) -> list[int]:
    """All values of a brush, read bit by bit as the format says; nothing of ours takes part."""
    text = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(text[at - count : at], 2)

    total, value_bits = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        same = take(1)
        count = take(sizes[take(2)]) + 1
        if same:
            values += [take(value_bits)] * count
        else:
            values += [take(value_bits) for _ in range(count)]
    assert len(values) == total
    assert len(text) - at < 8
    assert set(text[at:]) <= {"0"}
    return values


@given(MASKS)
def test_all_four_channels_of_a_pixel_say_whether_it_is_in_the_mask(mask: np.ndarray) -> None:
    expected = np.repeat(mask.ravel() * 255, 4).tolist()
    assert read_bits(encode(mask)) == expected


@given(MASKS)
def test_a_brush_is_decoded_to_the_mask_that_was_encoded(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_brush(encode(mask), *mask.shape), mask * 255)


@pytest.mark.parametrize("length", [1, 2, 4, 16384, 16385, 32768, 40000])
def test_runs_longer_than_a_block_are_cut(length: int) -> None:
    mask = np.zeros((3, 40000), bool)
    mask[1, :length] = True
    np.testing.assert_array_equal(decode_brush(encode(mask), *mask.shape), mask * 255)
    assert sum(read_bits(encode(mask))) == length * 4 * 255


def test_the_bytes_are_those_of_the_format() -> None:
    # 4 values of 8 bits; sizes 3, 4, 8, 16; one block of 4 times 255 in the first size
    bits = f"{4:032b}" + f"{7:05b}" + f"{2:04b}{3:04b}{7:04b}{15:04b}" + "1" + "00" + f"{3:03b}"
    bits += f"{255:08b}"
    bits += "0" * (-len(bits) % 8)
    expected = int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert encode(np.ones((1, 1), bool)) == expected


def test_values_that_differ_are_decoded_from_one_block() -> None:
    # Label Studio may write any opacity: two pixels, a block of eight unlike values
    values = [1, 2, 3, 100, 5, 6, 7, 200]
    bits = f"{8:032b}" + f"{7:05b}" + f"{2:04b}{3:04b}{7:04b}{15:04b}" + "0" + "00" + f"{7:03b}"
    bits += "".join(f"{value:08b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert read_bits(data) == values
    np.testing.assert_array_equal(decode_brush(data, 2, 1), [[100], [200]])


def test_damage_and_another_size_are_refused() -> None:
    data = encode(np.eye(6, dtype=bool))
    with pytest.raises(InputError, match="does not belong to a picture of 6 x 5 pixels"):
        decode_brush(data, 6, 5)
    with pytest.raises(InputError, match="ends too early"):
        decode_brush(data[:-2], 6, 6)
    with pytest.raises(InputError, match="ends too early"):
        decode_brush(b"", 6, 6)
    long_run = f"{4:032b}" + f"{7:05b}" + f"{2:04b}{3:04b}{7:04b}{15:04b}" + "100111" + "1" * 8
    long_run += "0" * (-len(long_run) % 8)
    with pytest.raises(InputError, match="more values than it says"):
        decode_brush(int(long_run, 2).to_bytes(len(long_run) // 8, "big"), 1, 1)


@pytest.mark.parametrize("bounds", [[0, 5], [3, 1], [1]])
def test_bounds_outside_of_the_picture_are_refused(bounds: list[int]) -> None:
    with pytest.raises(InputError, match="do not lie in order in 4 pixels"):
        encode_brush(np.array(bounds), 4)
    with pytest.raises(InputError, match="1 to 2\\^30 pixels"):
        encode_brush(np.zeros(0, np.int64), 0)
