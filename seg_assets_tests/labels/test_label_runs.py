import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.data.run_lengths import read_runs
from seg_assets.errors import InputError
from seg_assets.labels.label_run_kernels import write_labels
from seg_assets.labels.label_runs import LabelRuns, map_of_masks
from seg_assets.masks.rle import Rle

LABELS = st.sampled_from([0, 3, 18, 255])
# Large arrays are of one value but for a few pixels; without a fill every pixel is drawn.
MAPS = st.one_of(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=25), elements=LABELS),
    hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
        elements=LABELS,
        fill=st.nothing(),
    ),
)


def test_runs_end_with_their_columns():
    runs = LabelRuns.of(np.array([[1, 1, 2], [1, 3, 2]], np.uint8))
    assert runs.starts.tolist() == [0, 2, 3, 4, 6]
    assert runs.labels.tolist() == [1, 1, 3, 2]
    assert runs.first.tolist() == [0, 1, 3, 4]


@given(MAPS)
def test_runs_give_the_map_back(label_map: np.ndarray):
    runs = LabelRuns.of(label_map)
    pixels = np.repeat(runs.labels, np.diff(runs.starts))
    np.testing.assert_array_equal(pixels.reshape(label_map.shape[::-1]).T, label_map)
    assert runs.starts[runs.first].tolist() == [
        x * len(label_map) for x in range(label_map.shape[1] + 1)
    ]


@given(MAPS)
def test_masks_of_the_labels_are_those_of_pycocotools(label_map: np.ndarray):
    masks = LabelRuns.of(label_map).masks()
    assert list(masks) == np.unique(label_map).tolist()
    for label, mask in masks.items():
        assert mask == Rle.encode(label_map == label)


@given(MAPS)
def test_masks_of_the_labels_give_the_map_back(label_map: np.ndarray):
    found = map_of_masks(LabelRuns.of(label_map).masks(), *label_map.shape)
    np.testing.assert_array_equal(found, label_map)


def test_long_runs_have_room_for_their_digits():
    """In plain Python, which looks at every index; a run here takes eight characters or more."""
    random = np.random.default_rng(0)
    lengths = random.integers(2**35, 2**39, 900)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    labels = (np.arange(900) % 2).astype(np.uint8)
    text, bounds = write_labels.py_func(starts, labels)
    assert len(text) > 8 * 900
    second = text[bounds[1] : bounds[2]].tobytes()
    np.testing.assert_array_equal(read_runs(second, int(starts[-1]), 1), lengths)


def test_pixels_in_no_mask_have_no_label():
    mask = Rle.encode(np.array([[1, 0], [0, 0]], np.uint8))
    assert map_of_masks({4: mask}, 2, 2).tolist() == [[4, 255], [255, 255]]


def test_masks_that_overlap_are_no_label_map():
    full = Rle.encode(np.ones((2, 2), bool))
    with pytest.raises(InputError, match="overlap"):
        map_of_masks({4: full, 5: full}, 2, 2)
    with pytest.raises(InputError, match="overlap"):
        map_of_masks({4: full, 255: full}, 2, 2)


def test_masks_that_share_one_pixel_are_no_label_map():
    """In both orders, with pixels in no mask, and with a mask of pixels without label."""
    left, right = (Rle.encode(np.array([row], np.uint8)) for row in ([1, 1, 0, 0], [0, 1, 1, 0]))
    for first, second in ((4, 5), (4, 255), (255, 4)):
        with pytest.raises(InputError, match="overlap"):
            map_of_masks({first: left, second: right}, 1, 4)


def test_labels_beyond_a_byte_are_refused():
    with pytest.raises(InputError, match="0 to 255"):
        map_of_masks({256: Rle.encode(np.ones((2, 2), bool))}, 2, 2)
