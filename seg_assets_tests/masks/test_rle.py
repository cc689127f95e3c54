import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from seg_assets.errors import InputError
from seg_assets.masks.rle import Rle, runs_of

# Large arrays are of one value but for a few pixels; without a fill every pixel is drawn.
MASKS = st.one_of(
    hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)),
    hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), fill=st.nothing()),
)


@given(MASKS)
def test_decoding_gives_the_mask_back(mask: np.ndarray):
    decoded = Rle.encode(mask).decode()
    assert decoded.dtype == np.bool_
    np.testing.assert_array_equal(decoded, mask)


@given(MASKS)
def test_area_box_and_spans_are_those_of_the_mask(mask: np.ndarray):
    rle = Rle.encode(mask)
    assert rle.area == mask.sum()
    rows, columns = np.nonzero(mask)
    if len(rows):
        assert rle.corners == (columns.min(), rows.min(), columns.max(), rows.max())
    else:
        assert rle.corners == (0, 0, 0, 0)
    painted = np.zeros(mask.size, bool)
    for start, end in rle.spans():
        assert start < end
        painted[start:end] = True
    np.testing.assert_array_equal(painted.reshape(mask.shape[::-1]).T, mask)


def test_the_box_of_a_run_over_the_end_of_a_column_touches_bottom_and_top():
    rle = Rle.encode(np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0]], bool))
    assert rle.corners == (1, 1, 2, 2)
    assert Rle.encode(np.array([[0, 0, 1], [0, 0, 0], [0, 1, 0]], bool)).corners == (1, 0, 2, 2)


def test_a_mask_that_lies_on_its_side_is_of_another_size():
    with pytest.raises(InputError, match="mask 0 is 2 x 3 pixels, its image 3 x 2"):
        runs_of([Rle(2, 3, b"06")], 3, 2)


def test_spans_have_pixels():
    """Empty runs of other programs are left out."""
    rle = Rle.from_coco({"size": [2, 3], "counts": [0, 0, 1, 2, 0, 3, 0, 0]})
    assert rle.spans().tolist() == [[1, 3], [3, 6]]
    assert Rle.from_coco({"size": [2, 3], "counts": [4, 0, 2]}).corners == (0, 0, 0, 0)


@given(MASKS, st.data())
def test_a_box_is_a_cut_out_of_the_mask(mask: np.ndarray, data: st.DataObject):
    """Boxes without pixels too."""
    height, width = mask.shape
    left, right = sorted(data.draw(st.tuples(*[st.integers(0, width)] * 2)))
    top, bottom = sorted(data.draw(st.tuples(*[st.integers(0, height)] * 2)))
    box = Rle.encode(mask).decode_box(left, top, right, bottom)
    assert box.dtype == np.bool_
    np.testing.assert_array_equal(box, mask[top:bottom, left:right])


@pytest.mark.parametrize("box", [(0, 0, 7, 5), (0, 0, 1, 5), (6, 4, 7, 5), (2, 1, 5, 3)], ids=str)
def test_a_box_of_a_mask_whose_runs_go_over_many_columns(box: tuple[int, int, int, int]):
    left, top, right, bottom = box
    for mask in (np.ones((5, 7), bool), np.zeros((5, 7), bool), np.eye(5, 7) == 0):
        np.testing.assert_array_equal(
            Rle.encode(mask).decode_box(*box), mask[top:bottom, left:right]
        )


def test_a_box_of_damaged_counts_is_refused():
    with pytest.raises(InputError, match="mask of 4 x 6 pixels"):
        Rle(4, 6, b"92203").decode_box(0, 0, 1, 1)


@given(MASKS)
def test_counts_are_those_of_pycocotools(mask: np.ndarray):
    expected = coco.encode(np.asfortranarray(mask, np.uint8))
    rle = Rle.encode(mask)
    assert rle.counts == expected["counts"]
    assert rle.to_coco() == {"size": expected["size"], "counts": expected["counts"].decode()}


@given(st.binary(max_size=12), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=300)
def test_damaged_counts_are_refused_or_describe_the_whole_mask(counts: bytes, h: int, w: int):
    rle = Rle(h, w, counts)
    try:
        runs = rle.runs()
    except InputError:
        return
    assert runs.sum() == h * w
    assert runs.min() >= 0
    assert rle.decode().shape == (h, w)


@pytest.mark.parametrize(
    ("height", "width", "counts"),
    [
        (4, 6, b"92203"),  # 20 pixels, not 24
        (3, 5, b"92203"),  # 20 pixels, not 15
        (4, 5, b""),
        (4, 5, b"9220"),
        (4, 5, b"9\xff203"),
        (4, 5, b"9220o"),  # ends in the middle of a number
        (4, 5, b"9O203"),  # a negative run
        (4, 5, b"o" * 40),
    ],
)
def test_counts_of_another_mask_are_refused(height: int, width: int, counts: bytes):
    with pytest.raises(InputError, match=f"mask of {height} x {width} pixels"):
        Rle(height, width, counts).decode()


def test_large_masks_need_numbers_of_several_characters():
    mask = np.zeros((2000, 3000), bool)
    mask[1999, 2999] = True
    mask[5:1800, 700:2100] = True
    rle = Rle.encode(mask)
    np.testing.assert_array_equal(rle.decode(), mask)
    assert rle.area == mask.sum()


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [2, 3], "counts": [1, 2, 3]},
        {"size": [2, 3], "counts": "123"},
        {"size": [2, 3], "counts": b"123"},
    ],
    ids=["runs", "text", "bytes"],
)
def test_every_coco_form_is_taken(segmentation: dict):
    rle = Rle.from_coco(segmentation)
    np.testing.assert_array_equal(rle.decode(), [[False, True, False], [True, False, False]])


@pytest.mark.parametrize(
    "change",
    [
        {"size": None},
        {"size": [2]},
        {"size": [2.0, 3.0]},
        {"size": ["2", "3"]},
        {"size": [-2, -3]},
        {"counts": None},
        {"counts": 6},
        {"counts": "\xff"},
        {"counts": [-1, 7]},
        {"counts": [1.5, 4.5]},
        {"counts": ["1", "5"]},
        {"counts": [2**32, 6]},
        {"counts": [2**70]},
        {"counts": [[1], [5]]},
    ],
    ids=str,
)
def test_what_is_no_coco_segmentation_is_refused(change: dict):
    with pytest.raises(InputError, match="^a mask (is no COCO segmentation|has a size of -2 x -3)"):
        Rle.from_coco({"size": [2, 3], "counts": "06"} | change)


def test_other_nonzero_bytes_belong_to_the_mask():
    np.testing.assert_array_equal(
        Rle.encode(np.array([[0, 255], [2, 0]], np.uint8)).decode(), [[False, True], [True, False]]
    )


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.int64), np.zeros((1, 2, 2), bool)])
def test_arrays_that_are_no_masks_are_refused(array: np.ndarray):
    with pytest.raises(InputError, match=r"must be \(H, W\) bool or uint8"):
        Rle.encode(array)
