import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from seg_assets.data.coco_masks import parse_mask
from seg_assets.errors import ImageError

MASKS = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))


def coco_decode(coded: dict[str, Any]) -> np.ndarray:
    with warnings.catch_warnings():
        # pycocotools 2.0.11 gives NumPy 2 an array in a way that NumPy calls outdated
        warnings.simplefilter("ignore", DeprecationWarning)
        return coco.decode(coded).astype(bool)


def compressed(mask: np.ndarray) -> dict[str, Any]:
    coded = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": coded["counts"].decode()}


def uncompressed(mask: np.ndarray) -> dict[str, Any]:
    """Runs down the columns, counted one pixel at a time; the first is of background."""
    runs, inside = [0], False
    for value in mask.T.ravel().tolist():
        if value != inside:
            runs.append(0)
            inside = value
        runs[-1] += 1
    return {"size": list(mask.shape), "counts": runs}


@given(MASKS)
def test_both_kinds_of_run_lengths_give_the_mask_back(mask: np.ndarray) -> None:
    for segmentation in (compressed(mask), uncompressed(mask)):
        decoded = parse_mask(segmentation, *mask.shape, "a").decode("a")
        assert decoded.dtype == np.bool_
        np.testing.assert_array_equal(decoded, mask)


@given(MASKS, st.data())
def test_a_damaged_text_is_refused_or_describes_all_pixels(
    mask: np.ndarray, data: st.DataObject
) -> None:
    """pycocotools alone hands out foreign memory where the runs end too early."""
    segmentation = compressed(mask)
    text = segmentation["counts"]
    cut = data.draw(st.integers(0, len(text)))
    segmentation["counts"] = text[:cut] + data.draw(st.text(max_size=4))
    try:
        decoded = parse_mask(segmentation, *mask.shape, "a").decode("a")
    except ImageError:
        return
    again = parse_mask(compressed(decoded), *mask.shape, "a").decode("a")
    np.testing.assert_array_equal(again, decoded)


def test_a_text_that_ends_too_early_is_refused() -> None:
    segmentation = compressed(np.eye(6, 8, dtype=bool))
    segmentation["counts"] = segmentation["counts"][:-3]
    mask = parse_mask(segmentation, 6, 8, "annotation 4 of x.json")
    with pytest.raises(
        ImageError, match=r"annotation 4 of x\.json cannot be read: run lengths do not"
    ):
        mask.decode("annotation 4 of x.json")


def test_polygons_are_filled_as_pycocotools_fills_them_and_united() -> None:
    polygons = [[1, 1, 5, 1, 5, 4, 1, 4], [6.5, 0.5, 9.5, 0.5, 8, 6.25]]
    expected = coco_decode(coco.merge(coco.frPyObjects(polygons, 8, 10)))
    decoded = parse_mask(polygons, 8, 10, "a").decode("a")
    np.testing.assert_array_equal(decoded, expected)
    assert decoded[1:4, 1:5].all()
    assert 12 < decoded.sum() < 30


def test_polygons_may_reach_out_of_their_image() -> None:
    decoded = parse_mask([[-80, -80, 80, -80, 80, 80, -80, 80]], 6, 8, "a").decode("a")
    assert decoded.all()


def test_polygons_without_three_corners_are_left_out_beside_others() -> None:
    whole = [[1, 1, 5, 1, 5, 4, 1, 4]]
    first = parse_mask([[0, 0, 9, 7], *whole], 8, 10, "a").decode("a")
    np.testing.assert_array_equal(first, parse_mask(whole, 8, 10, "a").decode("a"))


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "annotation 9 has no polygon of 6 numbers or more: give it three corners or remove"),
        ([[0, 0, 4, 4]], "annotation 9 has no polygon of 6 numbers or more"),
        ([[0, 0, 4, 4, 2, 2, 1]], "annotation 9 has a polygon of an odd number of numbers"),
        ([[0, 0, 4, "x", 2, 2]], "annotation 9 has a mask that is not made of numbers"),
        ([1, 2, 3, 4, 5, 6], "annotation 9 has a mask that is not made of numbers"),
        ([[0, 0, 4, float("nan"), 2, 2]], "annotation 9 has a mask with numbers that are not fin"),
        ([[0, 0, 1e9, 0, 4, 4]], r"annotation 9 has a polygon with a corner at 1e\+09, far"),
        ([[0, 0, 4, 0, 4, -81]], "annotation 9 has a polygon with a corner at 81, far outside"),
        (None, "annotation 9 has neither polygons nor run lengths"),
        ("0160", "annotation 9 has neither polygons nor run lengths"),
        ({"size": [6, 9], "counts": "0"}, r"mask of size \[6, 9\], its image is \[6, 8\]"),
        ({"counts": "0"}, r"annotation 9 has a mask of size None, its image is \[6, 8\]"),
        ({"size": [6, 8]}, "annotation 9 has a mask that is not made of numbers"),
        ({"size": [6, 8], "counts": []}, "annotation 9 has a mask that is not made of numbers"),
        ({"size": [6, 8], "counts": [40, 7]}, "run lengths of annotation 9 do not describe 6 x 8"),
        ({"size": [6, 8], "counts": [50, -2]}, "run lengths of annotation 9 do not describe"),
        ({"size": [6, 8], "counts": [47.5, 0.5]}, "run lengths of annotation 9 do not describe"),
        ({"size": [6, 8], "counts": "ü"}, "annotation 9 has a mask that is not made of numbers"),
    ],
)
def test_what_is_no_mask_is_refused_by_name(segmentation: object, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        parse_mask(segmentation, 6, 8, "annotation 9")
