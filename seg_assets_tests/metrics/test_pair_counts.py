import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.errors import InputError
from seg_assets.metrics.pair_counts import count_byte_pairs, count_id_pairs


@st.composite
def maps_of_runs(draw: st.DrawFn, dtype: type, values: st.SearchStrategy) -> np.ndarray:
    """(2, N) with long and short runs, so that whole words, borders and tails all occur."""
    lengths = draw(st.lists(st.integers(1, 40), max_size=12))
    pairs = [draw(st.tuples(values, values)) for _ in lengths]
    return np.repeat(np.array(pairs, dtype).reshape(-1, 2), lengths, axis=0).T


def pairs_one_by_one(first: np.ndarray, second: np.ndarray) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    for pair in zip(first.ravel().tolist(), second.ravel().tolist(), strict=True):
        counts[pair] = counts.get(pair, 0) + 1
    return counts


@given(maps_of_runs(np.uint8, st.sampled_from([0, 1, 7, 254, 255])))
def test_byte_pairs_equal_a_plain_loop(maps: np.ndarray) -> None:
    found = count_byte_pairs(maps[0], maps[1])
    expected = np.zeros((256, 256), np.int64)
    for (a, b), count in pairs_one_by_one(maps[0], maps[1]).items():
        expected[a, b] = count
    np.testing.assert_array_equal(found, expected)


@given(maps_of_runs(np.int64, st.sampled_from([-5, 0, 1, 2, 256**3, 2**40])))
def test_id_pairs_equal_a_plain_loop(maps: np.ndarray) -> None:
    first, second, counts = count_id_pairs(maps[0], maps[1])
    keys = list(zip(first.tolist(), second.tolist(), strict=True))
    assert keys == sorted(keys)
    assert dict(zip(keys, counts.tolist(), strict=True)) == pairs_one_by_one(maps[0], maps[1])


@given(
    hnp.arrays(np.int32, (3, 7), elements=st.integers(0, 3)),
    hnp.arrays(np.uint8, (3, 7), elements=st.integers(0, 3)),
)
def test_types_and_layouts_do_not_matter(first: np.ndarray, second: np.ndarray) -> None:
    expected = count_id_pairs(first, second)
    strange = np.zeros((7, 6), np.uint16)[:, ::2].T
    strange[...] = first
    for found in (
        count_id_pairs(strange, np.asfortranarray(second)),
        count_id_pairs(first.astype(np.uint32), second.astype(np.int32)),
    ):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    bytes_ = first.astype(np.uint8)
    np.testing.assert_array_equal(
        count_byte_pairs(np.asfortranarray(bytes_), second), count_byte_pairs(bytes_, second)
    )
    beside = np.zeros(22, np.uint8)[1:].reshape(3, 7)  # does not begin at a multiple of 8 bytes
    beside[...] = bytes_
    np.testing.assert_array_equal(
        count_byte_pairs(beside, second), count_byte_pairs(bytes_, second)
    )


def test_more_pairs_than_the_table_first_holds() -> None:
    first = np.arange(5000, dtype=np.int32) % 100
    second = np.arange(5000, dtype=np.int32) // 2
    _, _, counts = count_id_pairs(np.tile(first, 2), np.tile(second, 2))
    assert len(counts) == 5000
    assert (counts == 2).all()


@pytest.mark.parametrize("swap", [False, True])
def test_pairs_that_share_a_value_are_kept_apart_where_they_meet_in_the_table(swap: bool) -> None:
    one, many = np.zeros(300, np.int32), np.arange(300, dtype=np.int32)
    maps = (many, one) if swap else (one, many)
    *values, counts = count_id_pairs(*maps)
    assert [part.tolist() for part in values] == [part.tolist() for part in maps]
    assert counts.tolist() == [1] * 300


def test_no_pixels_give_no_pairs() -> None:
    nothing = np.zeros((0, 4), np.uint8)
    assert not count_byte_pairs(nothing, nothing).any()
    assert [len(part) for part in count_id_pairs(nothing, nothing)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), r"\(2, 3\) and \(3, 2\)"),
        (np.zeros(2, np.float32), np.zeros(2, np.uint8), "a map of float32 cannot be counted"),
        (np.zeros(2, np.uint8), np.zeros(2, np.uint64), "a map of uint64 cannot be counted"),
    ],
)
def test_maps_that_cannot_be_counted_are_refused(first, second, message) -> None:
    with pytest.raises(InputError, match=message):
        count_id_pairs(first, second)


def test_byte_maps_must_be_of_bytes() -> None:
    with pytest.raises(InputError, match="uint8, got int32 and uint8"):
        count_byte_pairs(np.zeros(2, np.int32), np.zeros(2, np.uint8))
