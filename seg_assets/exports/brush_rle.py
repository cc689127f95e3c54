"""Label Studio's run lengths of a brush, encoded and decoded.

The brush is an RGBA picture, row by row, four bytes per pixel; here all four are 0, or 255 where
the mask is. It is written as a stream of bits, most significant first (the format of the package
@thi.ng/rle-pack): 32 bits for the number of values; 5 bits for the bits of a value, less 1; four
times 4 bits for the sizes of run lengths, less 1; then blocks. A block has 1 bit that says whether
its values are all the same, 2 bits that choose one of the four sizes, the number of values less 1
in that size, and the value once, or all values. The last byte is filled with zeros.
"""

import numpy as np

from seg_assets.errors import InputError

_CHANNELS = 4
_VALUE_BITS = 8
_SIZES = np.array([3, 4, 8, 16])  # those that Label Studio itself writes
_HEADER_BITS = 32 + 5 + 4 * 4
_LONGEST = 1 << 16
_INSIDE = 255


def encode_brush(bounds: np.ndarray, pixels: int) -> bytes:
    """Encode a mask as a brush.

    Args:
        bounds: where the mask's stretches begin and end in reading order, ascending, (2N,)
            integers.
        pixels: of the whole picture; at least 1 and fewer than 2^30.

    Raises:
        InputError: the picture is empty or too large, or the bounds leave it.
    """
    if not 0 < pixels < 1 << 30:
        raise InputError(f"a brush belongs to a picture of 1 to 2^30 pixels, not of {pixels}")
    lengths = np.diff(bounds, prepend=0, append=pixels) * _CHANNELS
    if lengths.min() < 0 or len(bounds) % 2:
        raise InputError(f"the bounds of a mask do not lie in order in {pixels} pixels")
    values = np.arange(len(lengths)) % 2 * _INSIDE
    lengths, values = lengths[lengths > 0], values[lengths > 0]
    # A block holds at most 65536 values: longer runs are cut, the rest comes last.
    blocks = -(-lengths // _LONGEST)
    cut = np.full(int(blocks.sum()), _LONGEST)
    cut[np.cumsum(blocks) - 1] = lengths - (blocks - 1) * _LONGEST
    return _pack(pixels * _CHANNELS, cut, np.repeat(values, blocks))


def _pack(total: int, lengths: np.ndarray, values: np.ndarray) -> bytes:
    """Write blocks of equal values as bits."""
    choice = np.searchsorted(1 << _SIZES, lengths)
    size = _SIZES[choice]
    block = (0b100 | choice) << size | (lengths - 1)
    block = block << _VALUE_BITS | values
    header = total
    for bits, value in [(5, _VALUE_BITS - 1), *((4, int(item) - 1) for item in _SIZES)]:
        header = header << bits | value
    numbers = [np.array([header]), block]
    widths = [np.array([_HEADER_BITS]), 3 + size + _VALUE_BITS]
    number, width = np.concatenate(numbers), np.concatenate(widths)
    # Bit i of the stream belongs to the number whose bits end behind it.
    ends = np.cumsum(width)
    shift = np.repeat(ends, width) - 1 - np.arange(ends[-1])
    return np.packbits((np.repeat(number, width) >> shift & 1).astype(np.uint8)).tobytes()


def decode_brush(data: bytes, height: int, width: int) -> np.ndarray:
    """Decode a brush, as Label Studio or `encode_brush` writes it.

    Args:
        data: the bytes, in JSON a list of numbers.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        (H, W) uint8, the opacity (the fourth value of each pixel): 0 outside of the brush.

    Raises:
        InputError: the bytes end too early, or belong to a picture of another size.
    """
    bits = _BitReader(data)
    total = bits.read(32)
    if total != height * width * _CHANNELS:
        raise InputError(
            f"a brush of {total} values does not belong to a picture of {height} x {width} pixels"
        )
    value_bits = bits.read(5) + 1
    sizes = [bits.read(4) + 1 for _ in range(4)]
    values = np.zeros(total, np.uint32)
    at = 0
    while at < total:
        same = bits.read(1)
        stop = at + 1 + bits.read(sizes[bits.read(2)])
        if stop > total:
            raise InputError("a brush has more values than it says: it is damaged")
        if same:
            values[at:stop] = bits.read(value_bits)
        else:
            values[at:stop] = [bits.read(value_bits) for _ in range(stop - at)]
        at = stop
    return values.reshape(height, width, _CHANNELS)[:, :, 3].astype(np.uint8)


class _BitReader:
    """Reads numbers of some bits, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, bits: int) -> int:
        end = self._at + bits
        if end > len(self._data) * 8:
            raise InputError("a brush ends too early: it is damaged")
        first, last = self._at // 8, -(-end // 8)
        number = int.from_bytes(self._data[first:last], "big") >> (last * 8 - end)
        self._at = end
        return number & ((1 << bits) - 1)
