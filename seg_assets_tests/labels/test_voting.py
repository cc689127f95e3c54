import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.errors import InputError
from seg_assets.labels.label_run_kernels import count_labels
from seg_assets.labels.label_runs import LabelRuns
from seg_assets.labels.voting import count_mask_votes
from seg_assets.masks.rle import Rle, runs_of

LABELS = st.sampled_from([0, 1, 2, 149, 255])


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray]]:
    """A label map and masks of one size, empty and full ones among them."""
    every_pixel = draw(st.booleans())  # else arrays of one value but for a few pixels
    fill = st.nothing() if every_pixel else None
    side = 5 if every_pixel else 21
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=side))
    label_map = draw(hnp.arrays(np.uint8, shape, elements=LABELS, fill=fill))
    masks = draw(st.lists(hnp.arrays(np.bool_, shape, fill=fill), max_size=5))
    return label_map, [*masks, np.zeros(shape, bool), np.ones(shape, bool)]


def plain_counts(masks: list[np.ndarray], label_map: np.ndarray) -> np.ndarray:
    return np.array([np.bincount(label_map[mask], minlength=256) for mask in masks])


@given(scenes())
def test_counts_equal_those_of_the_decoded_masks(scene: tuple[np.ndarray, list[np.ndarray]]):
    label_map, masks = scene
    counts = count_mask_votes([Rle.encode(mask) for mask in masks], label_map)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, plain_counts(masks, label_map))


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (64, 64), (65, 129), (331, 517)])
def test_large_maps_with_long_and_short_runs(size: tuple[int, int]):
    random = np.random.default_rng(0)
    coarse = random.integers(0, 7, (size[0] // 9 + 1, size[1] // 11 + 1))
    label_map = np.kron(coarse, np.ones((9, 11)))[: size[0], : size[1]].astype(np.uint8)
    noise = random.random(size)
    label_map[noise > 0.95] = 255
    one = np.zeros(size, bool)
    one[-1, -1] = True
    masks = [one, noise > 0.5, label_map == 3, label_map != 3]
    counts = count_mask_votes([Rle.encode(mask) for mask in masks], label_map)
    np.testing.assert_array_equal(counts, plain_counts(masks, label_map))


def test_runs_of_a_map_count_like_the_map():
    label_map = np.array([[4, 4, 5], [4, 5, 5]], np.uint8)
    masks = [Rle.encode(np.array([[1, 1, 1], [0, 0, 1]], np.uint8))]
    counts = count_mask_votes(masks, LabelRuns.of(label_map))
    assert counts[0, 4:6].tolist() == [2, 2]
    assert counts.sum() == 4


def test_maps_that_lie_otherwise_in_memory_count_alike():
    label_map = np.arange(12, dtype=np.uint8).reshape(3, 4)
    mask = Rle.encode(label_map > 5)
    for other in (np.asfortranarray(label_map), np.repeat(label_map, 2, 1)[:, ::2]):
        counts = count_mask_votes([mask], other)
        np.testing.assert_array_equal(np.flatnonzero(counts[0]), np.arange(6, 12))


@pytest.mark.parametrize("runs", [[6, 0], [6, 0, 0], [0, 0, 6], [2, 0, 1, 0, 0, 3], [1, 2, 0, 3]])
def test_empty_runs_count_nothing_and_lead_nowhere(runs: list[int]):
    """In plain Python, which looks at every index: the compiled kernel does not."""
    label_map = np.array([[4, 5, 5], [4, 4, 7]], np.uint8)
    map_runs = LabelRuns.of(label_map)
    mask = Rle.from_coco({"size": [2, 3], "counts": runs})
    counts = np.zeros((1, 256), np.int64)
    masks = runs_of([mask], 2, 3)
    count_labels.py_func(*map_runs[:3], 2, *masks, counts)
    np.testing.assert_array_equal(counts, plain_counts([mask.decode()], label_map))
    np.testing.assert_array_equal(counts, count_mask_votes([mask], label_map))


def test_no_masks_have_no_counts():
    assert count_mask_votes([], np.zeros((3, 4), np.uint8)).shape == (0, 256)


def test_a_mask_of_another_size_is_refused():
    masks = [Rle.encode(np.ones((3, 4), bool)), Rle.encode(np.ones((4, 3), bool))]
    with pytest.raises(InputError, match="mask 1 is 4 x 3 pixels, its image 3 x 4"):
        count_mask_votes(masks, np.zeros((3, 4), np.uint8))


@given(st.binary(max_size=10))
def test_damaged_masks_are_refused_or_count_their_pixels(text: bytes):
    label_map = np.full((4, 5), 7, np.uint8)
    mask = Rle(4, 5, text)
    try:
        counts = count_mask_votes([mask], label_map)
    except InputError:
        return
    assert counts.sum() == counts[0, 7] == mask.area


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2), np.int64), np.zeros((1, 2, 2), np.uint8), np.zeros((0, 2), np.uint8)]
)
def test_arrays_that_are_no_label_maps_are_refused(array: np.ndarray):
    with pytest.raises(InputError, match=r"a label map is \(H, W\) uint8"):
        count_mask_votes([], array)
