"""Arrays of logits as float16 bytes: little endian, row by row, for `numpy.frombuffer`."""

import math

import numpy as np

from seg_assets.errors import InputError, StoreError

_FLOAT16 = np.dtype("<f2")


def encode_float16(array: np.ndarray) -> bytes:
    """Encode an array of any shape as float16, rounding to nearest.

    Args:
        array: floating point values within +-65504, infinities and nan included.

    Raises:
        InputError: a finite value does not fit into float16.
    """
    with np.errstate(over="ignore"):
        half = np.asarray(array).astype(_FLOAT16)
    if np.count_nonzero(np.isinf(half)) != np.count_nonzero(np.isinf(array)):
        raise InputError("an array holds values beyond 65504, the largest float16: scale it down")
    return half.tobytes()


def decode_float16(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Decode the bytes of `encode_float16`.

    Args:
        data: the bytes.
        shape: the shape that was encoded.

    Returns:
        Read-only float16 array of this shape, without a copy of the data.

    Raises:
        StoreError: the bytes do not fill the shape exactly.
    """
    expected = math.prod(shape) * _FLOAT16.itemsize
    if len(data) != expected:
        raise StoreError(
            f"an array of shape {shape} takes {expected} bytes but {len(data)} are stored: "
            f"materialise its shard again"
        )
    return np.frombuffer(data, dtype=_FLOAT16).reshape(shape)
