import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from seg_assets.data.run_lengths import (
    paint_ends,
    paint_masks,
    paint_runs,
    read_mask_runs,
    read_runs,
)
from seg_assets.errors import InputError

# Large arrays are of one value but for a few pixels; without a fill every pixel is drawn.
MASKS = st.one_of(
    arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)),
    arrays.arrays(
        np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=6), fill=st.nothing()
    ),
)


@given(MASKS)
def test_what_pycocotools_writes_is_read(mask: np.ndarray) -> None:
    counts = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    runs = read_runs(counts, *mask.shape)
    np.testing.assert_array_equal(paint_runs(runs, *mask.shape), mask)


def test_long_runs_take_several_characters() -> None:
    mask = np.zeros((300, 200), bool)
    mask[:, 50:150] = True
    counts = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    assert read_runs(counts, 300, 200).tolist() == [15000, 30000, 15000]


def test_numbers_of_two_characters_are_read() -> None:
    assert read_runs(b"`1", 6, 8).tolist() == [48]
    assert read_runs(b":0X1", 5, 10).tolist() == [10, 0, 40]


@pytest.mark.parametrize(
    "counts",
    [
        b"",
        b"P",
        b"999",
        b"\xff",
        b"/`1",  # below the first character
        b"p`1",  # behind the last one
        b"`1P",  # ends in the middle of a number
        b":NX1",  # 10, -2, 40
        b"0160000",
        b"o" * 40 + b"0",
        b"P" * 52 + b"3",  # 48, where a shift by 260 bits is one by 4
    ],
)
def test_other_texts_are_refused(counts: bytes) -> None:
    with pytest.raises(InputError, match="^run lengths do not describe a mask of 6 x 8 pixels"):
        read_runs(counts, 6, 8)


def test_masks_of_more_pixels_than_can_be_counted_are_refused() -> None:
    with pytest.raises(InputError, match="^run lengths do not describe a mask of 10000000000 x 1"):
        read_runs(b"06", 10**10, 10**10)


def _text_of(runs: list[int]) -> bytes:
    """Compressed counts of any runs."""
    characters = bytearray()
    for i, run in enumerate(runs):
        value, more = run - (runs[i - 2] if i > 2 else 0), True
        while more:
            digit, value = value & 31, value >> 5
            more = value != (-1 if digit & 16 else 0)
            characters.append(digit + 48 + 32 * more)
    return bytes(characters)


def test_runs_whose_sum_overflows_to_the_right_one_are_refused() -> None:
    most = 2**59 - 1
    assert (32 * most + 80) % 2**64 == 48
    assert read_runs(_text_of([3, 5, 40]), 6, 8).tolist() == [3, 5, 40]
    with pytest.raises(InputError, match="do not describe a mask of 6 x 8 pixels"):
        read_runs(_text_of([most] * 32 + [80]), 6, 8)


def test_a_mask_without_pixels_has_a_run_all_the_same() -> None:
    assert read_runs(b"0", 0, 5).tolist() == [0]
    with pytest.raises(InputError, match="do not describe a mask of 0 x 5 pixels"):
        read_runs(b"", 0, 5)


@given(st.binary(max_size=8))
def test_any_bytes_are_refused_or_add_up(counts: bytes) -> None:
    try:
        runs = read_runs(counts, 6, 8)
    except InputError:
        return
    assert runs.sum() == 48
    assert runs.min() >= 0


def _counts(mask: np.ndarray) -> bytes:
    return coco.encode(np.asfortranarray(mask, np.uint8))["counts"]


@given(
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=80).flatmap(
        lambda shape: st.tuples(
            arrays.arrays(np.uint8, shape), st.lists(arrays.arrays(np.bool_, shape), max_size=4)
        )
    )
)
def test_masks_are_painted_one_over_the_other(case: tuple[np.ndarray, list[np.ndarray]]) -> None:
    picture, masks = case
    before = picture.copy()
    runs = read_mask_runs([_counts(mask) for mask in masks], *picture.shape)
    values = np.arange(1, len(masks) + 1, dtype=np.uint8)
    painted = paint_masks(runs, values, picture)
    np.testing.assert_array_equal(picture, before)
    expected = before
    for mask, value in zip(masks, values, strict=True):
        expected[mask] = value
    np.testing.assert_array_equal(painted, expected)
    assert painted.flags.c_contiguous


@pytest.mark.parametrize("size", [(1, 129), (129, 1), (7, 65), (8, 64), (9, 128), (64, 63)])
def test_masks_of_noise_are_painted_one_over_the_other(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, size, np.uint8)
    masks = [random.random(size) < share for share in (0.9, 0.5, 0.1)]
    runs = read_mask_runs([_counts(mask) for mask in masks], *size)
    values = np.array([255, 0, 7], np.uint8)
    painted = paint_masks(runs, values, np.asfortranarray(picture))
    for mask, value in zip(masks, values, strict=True):
        picture[mask] = value
    np.testing.assert_array_equal(painted, picture)


def test_masks_can_be_picked_in_another_order() -> None:
    masks = [np.array([[1, 1, 0]]), np.array([[0, 1, 1]])]
    runs = read_mask_runs([_counts(mask) for mask in masks], 1, 3)
    values = np.array([5, 6], np.uint8)
    nothing = np.zeros((1, 3), np.uint8)
    assert paint_masks(runs, values, nothing).tolist() == [[5, 6, 6]]
    assert paint_masks(runs.pick([1, 0]), values, nothing).tolist() == [[6, 6, 5]]
    assert runs.of(1).tolist() == [1, 3]


def test_the_damaged_mask_is_named() -> None:
    with pytest.raises(InputError, match="^run lengths of mask 1 do not describe a mask of 1 x 3"):
        read_mask_runs([b"3", b"4"], 1, 3)


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    runs = read_mask_runs([b"3"], 1, 3)
    one = np.ones(1, np.uint8)
    with pytest.raises(ValueError, match="do not fit together"):
        paint_masks(runs, one, np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="do not fit together"):
        paint_masks(runs, np.ones(2, np.uint8), np.zeros((1, 3), np.uint8))
    with pytest.raises(ValueError, match="do not fit together"):
        paint_masks(runs, one, np.zeros((1, 3), np.int32))


@pytest.mark.parametrize("ends", [[], [2], [4, 3], [3, 2, 3], [-1, 3]])
def test_ends_that_do_not_ascend_to_the_last_pixel_are_refused(ends: list[int]) -> None:
    with pytest.raises(ValueError, match="must ascend to 1 x 3"):
        paint_ends(np.array(ends, np.int64), 1, 3)
