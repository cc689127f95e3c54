"""How often each pair of values occurs in two maps of one size, in Numba.

Maps consist of runs of equal pixels, so both kernels look at runs and add their lengths.
"""

import numpy as np
from numba import njit

from seg_assets.errors import InputError

_FEW_PAIRS = 1 << 9
_CHUNK = 1 << 10
"""Pixels whose marks are made at a time."""


def count_byte_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Count the pairs of two maps of bytes.

    Args:
        first: uint8, any shape.
        second: uint8, the same shape.

    Returns:
        (256, 256) int64; [i, j] is how often `first` is i where `second` is j.

    Raises:
        InputError: the maps have other types, or differ in shape.
    """
    _check(first, second)
    if first.dtype != np.uint8 or second.dtype != np.uint8:
        raise InputError(f"byte maps must be uint8, got {first.dtype} and {second.dtype}")
    pairs = np.zeros((256, 256), np.int64)
    a, b = _flat(first), _flat(second)
    whole = len(a) // 8 * 8
    _add_bytes(a, b, a[:whole].view(np.uint64), b[:whole].view(np.uint64), pairs)
    return pairs


def count_id_pairs(
    first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the pairs of two maps of any integers.

    Args:
        first: integers, any shape.
        second: integers, the same shape.

    Returns:
        Values of `first`, values of `second`, and how often they meet, (N,) int64 each: one entry
        per pair that occurs, by ascending value of `first`, then of `second`.

    Raises:
        InputError: the maps are not of integers, or differ in shape.
    """
    _check(first, second)
    keys, counts = _count_with(_flat(_narrow(first)), _flat(_narrow(second)), _FEW_PAIRS)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    return keys[order, 0], keys[order, 1], counts[order]


def _count_with(a: np.ndarray, b: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Count with room for so many pairs; begun anew with more where that is not enough."""
    keys, counts = np.empty((room, 2), np.int64), np.zeros(room, np.int64)
    found = _count_runs(a, b, np.full(2 * room, -1, np.int64), keys, counts)
    return (keys[:found], counts[:found]) if found >= 0 else _count_with(a, b, 8 * room)


def _check(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape:
        raise InputError(
            f"maps of shape {first.shape} and {second.shape} cannot be compared pixel by pixel; "
            "give maps of the same image at the same size"
        )
    for values in (first, second):
        if values.dtype.kind not in "ui" or values.dtype == np.uint64:
            raise InputError(
                f"a map of {values.dtype} cannot be counted; give integers of at most 63 bits"
            )


def _narrow(values: np.ndarray) -> np.ndarray:
    """Few types, since each pair of them is compiled by itself."""
    kept = values.dtype in (np.uint8, np.int32)
    return values if kept else values.astype(np.int64)


def _flat(values: np.ndarray) -> np.ndarray:
    """One-dimensional, side by side and aligned; copied only where it is not so already."""
    return np.require(values, requirements=["C", "A"]).reshape(-1)


@njit(cache=True, nogil=True)
def _add_bytes(a, b, a_words, b_words, pairs):
    """Add all pairs; eight pixels at a time where a run holds them all."""
    ones = np.uint64(0x0101010101010101)
    low = np.uint64(255)
    none = np.uint64(0)
    words = len(a_words)
    i = 0
    while i < words:
        x, y = a_words[i], b_words[i]
        if x == (x & low) * ones and y == (y & low) * ones:
            j = i + 1
            while j + 4 <= words:
                other = (a_words[j] ^ x) | (b_words[j] ^ y)
                other |= (a_words[j + 1] ^ x) | (b_words[j + 1] ^ y)
                other |= (a_words[j + 2] ^ x) | (b_words[j + 2] ^ y)
                other |= (a_words[j + 3] ^ x) | (b_words[j + 3] ^ y)
                if other != none:
                    break
                j += 4
            while j < words and a_words[j] == x and b_words[j] == y:
                j += 1
            pairs[np.int64(x & low), np.int64(y & low)] += 8 * (j - i)
            i = j
            if i == words:
                break
        # a run ended here: most likely within these eight pixels
        for k in range(8 * i, 8 * i + 8):
            pairs[a[k], b[k]] += 1
        i += 1
    for k in range(8 * words, len(a)):
        pairs[a[k], b[k]] += 1


@njit(cache=True, nogil=True)
def _count_runs(a, b, table, keys, counts):
    """Count runs in a hash table with open addresses.

    Args:
        a: (P,) integers.
        b: (P,) integers.
        table: (2 N,) int64 of -1, N a power of two; becomes positions in `keys`.
        keys: (N, 2) int64, to be filled.
        counts: (N,) int64 of 0, to be filled.

    Returns:
        How many pairs there are, or -1 if they are more than N.
    """
    last_place = len(table) - 1
    known = 0
    size = len(a)
    marks = np.zeros(_CHUNK, np.uint8)
    eights = marks.view(np.uint64)
    ends = np.empty(_CHUNK + 1, np.int64)
    begin = 0
    # the last chunk ends one pixel after the map, where the last run ends
    for start in range(1, size + 1, _CHUNK):
        stop = min(start + _CHUNK, size)
        pixels = stop - start
        before = slice(start - 1, stop - 1)
        _mark_changes(a[before], a[start:stop], b[before], b[start:stop], marks[:pixels])
        marks[pixels:] = 0
        if start + _CHUNK > size:
            marks[pixels] = 1
        ending = 0
        for eight in range(_CHUNK // 8):
            if eights[eight] != 0:
                for k in range(
                    8 * eight, 8 * eight + 8
                ):  # without branches, which would be guessed
                    ends[ending] = start + k
                    ending += marks[k]
        for end in ends[:ending]:
            first, second = np.int64(a[begin]), np.int64(b[begin])
            mixed = np.uint64(first) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(second)
            mixed *= np.uint64(0xD6E8FEB86659FD93)
            place = np.int64(mixed >> np.uint64(32)) & last_place
            entry = table[place]
            while entry >= 0 and (keys[entry, 0] != first or keys[entry, 1] != second):
                place = (place + 1) & last_place
                entry = table[place]
            if entry < 0:
                if known == len(counts):
                    return -1
                entry = table[place] = known
                keys[entry, 0], keys[entry, 1] = first, second
                known += 1
            counts[entry] += end - begin
            begin = end
    return known


@njit(cache=True, nogil=True)
def _mark_changes(a_before, a, b_before, b, marks):
    """Mark the pixels at which another run begins; simple enough to become vector instructions."""
    for k in range(len(marks)):
        marks[k] = (a[k] != a_before[k]) | (b[k] != b_before[k])
