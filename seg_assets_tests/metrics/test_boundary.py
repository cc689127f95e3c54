"""Bands by cv2's erosion and contours by scipy's distances, mask by mask, are the reference."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.errors import InputError, UnknownClassError
from seg_assets.metrics.boundary import BoundarySums, boundary_scores
from seg_assets.metrics.boundary_maps import UNKNOWN, boundary_bands, contours

ABC = ClassTable(
    "abc", "Three letters", tuple(SemanticClass(i, n, (i + 1, 0, 0)) for i, n in enumerate("abc"))
)
COUNTS = [
    "band_shared",
    "band_predicted",
    "band_true",
    "near_predicted",
    "contour_predicted",
    "near_true",
    "contour_true",
]


@st.composite
def blocky(draw: st.DrawFn, values: list[int], shape: tuple[int, int]) -> np.ndarray:
    """A map of blocks, so that bands have an inside, with some single pixels changed."""
    size = draw(st.integers(1, 6))
    small = tuple(-(-side // size) for side in shape)
    coarse = draw(hnp.arrays(np.uint8, small, elements=st.sampled_from(values)))
    found = np.kron(coarse, np.ones((size, size), np.uint8))[: shape[0], : shape[1]].copy()
    for _ in range(draw(st.integers(0, 3))):
        y, x = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        found[y, x] = draw(st.sampled_from(values))
    return found


@st.composite
def maps(draw: st.DrawFn, values: list[int]) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    return draw(blocky([0, 1, 2, 255], shape)), draw(blocky(values, shape))


def reference_sums(prediction, truth, distance: int, radius: float) -> dict[str, list[int]]:
    """Class by class; without unknown truth, for which see the tests below."""
    sums: dict[str, list[int]] = {name: [] for name in COUNTS}
    for c in range(3):
        masks = prediction == c, truth == c
        bands = []
        for mask in masks:
            framed = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
            eroded = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=distance)
            bands.append(mask & (eroded[1:-1, 1:-1] == 0))
        sums["band_shared"].append(int((bands[0] & bands[1]).sum()))
        sums["band_predicted"].append(int(bands[0].sum()))
        sums["band_true"].append(int(bands[1].sum()))
        lines = []
        for mask in masks:
            cross = ndimage.generate_binary_structure(2, 1)
            lines.append(mask & ~ndimage.binary_erosion(mask, cross, border_value=1))
        for mine, other, name in ((*lines, "predicted"), (*lines[::-1], "true")):
            far = (
                ndimage.distance_transform_edt(~other) if other.any() else np.full(mine.shape, 1e9)
            )
            sums[f"near_{name}"].append(int((mine & (far <= radius)).sum()))
            sums[f"contour_{name}"].append(int(mine.sum()))
    return sums


@given(maps([0, 1, 2]), st.sampled_from([0.02, 0.1, 0.2]), st.sampled_from([0.01, 0.08, 0.15, 0.3]))
def test_equals_erosion_and_distance_of_every_mask(pair, band_ratio, tolerance_ratio) -> None:
    prediction, truth = pair
    found = BoundarySums.of(
        prediction, truth, ABC, band_ratio=band_ratio, tolerance_ratio=tolerance_ratio
    )
    diagonal = math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2)
    distance = max(1, round(band_ratio * diagonal))
    expected = reference_sums(prediction, truth, distance, tolerance_ratio * diagonal)
    assert {name: getattr(found, name).tolist() for name in COUNTS} == expected


def test_a_large_map_equals_the_reference() -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:150, :210]
    truth = ((np.sin(x / 17) + np.cos(y / 13)) > 0.3).astype(np.uint8)
    truth[(y - 70) ** 2 + (x - 90) ** 2 < 900] = 2
    prediction = np.roll(truth, (2, 3), (0, 1))
    prediction[random.random(truth.shape) < 0.002] = 1
    found = BoundarySums.of(prediction, truth, ABC)
    diagonal = math.hypot(150, 210)
    expected = reference_sums(prediction, truth, 5, 0.0075 * diagonal)
    assert {name: getattr(found, name).tolist() for name in COUNTS} == expected
    assert 0 < boundary_scores(found).iou[2] < 1


@given(blocky([0, 1, 2, 3], (9, 11)), st.integers(1, 3))
def test_unknown_pixels_make_no_band(labels: np.ndarray, distance: int) -> None:
    signed = labels.astype(np.int16)
    signed[labels == 3] = UNKNOWN
    expected = np.zeros(labels.shape, bool)
    for y, x in np.argwhere(signed != UNKNOWN):
        top, left = y - distance, x - distance
        window = signed[max(top, 0) : y + distance + 1, max(left, 0) : x + distance + 1]
        whole = window.size == (2 * distance + 1) ** 2
        expected[y, x] = not whole or len(set(window.ravel().tolist()) - {UNKNOWN}) > 1
    np.testing.assert_array_equal(boundary_bands(signed, distance), expected)
    wide = signed.astype(np.int32) * 70_000
    wide[signed == UNKNOWN] = UNKNOWN
    np.testing.assert_array_equal(boundary_bands(wide, distance), expected)


def test_contours_lie_on_both_sides_but_not_at_the_image_or_the_unknown() -> None:
    labels = np.array([[0, 0, 1, 1], [0, 0, -1, 1], [2, 0, -1, 1]], np.int16)
    expected = [[-1, 0, 1, -1], [0, -1, -1, -1], [2, 0, -1, -1]]
    assert contours(labels).tolist() == expected


@given(maps([0, 1, 2, 255]))
def test_a_perfect_prediction_scores_1_whatever_it_says_where_nothing_is_known(pair) -> None:
    filler, truth = pair
    prediction = np.where(truth == 255, filler, truth)
    scores = boundary_scores(BoundarySums.of(prediction, truth, ABC))
    for values in (scores.iou, scores.f, scores.image_f):
        assert set(values[~np.isnan(values)].tolist()) <= {1.0}
    present = {*np.unique(truth).tolist()} - {255}
    assert set(np.flatnonzero(~np.isnan(scores.iou)).tolist()) == present


def test_where_nothing_is_predicted_the_contour_is_one() -> None:
    truth = np.zeros((9, 9), np.uint8)
    prediction = truth.copy()
    prediction[:, 5:] = 255
    sums = BoundarySums.of(prediction, truth, ABC)
    assert sums.contour_predicted.tolist() == [9, 0, 0]
    assert sums.contour_true.tolist() == [0, 0, 0]
    assert sums.band_predicted[0] == 9 * 5 - 3 * 7
    assert boundary_scores(sums).f[0] == 0


def test_f_is_divided_once_and_also_averaged_over_images() -> None:
    truth = np.zeros((12, 12), np.uint8)
    truth[:, 6:] = 1
    shifted = np.roll(truth, 3, 1)
    shifted[:, :3] = 0
    good, bad = BoundarySums.of(truth, truth, ABC), BoundarySums.of(shifted, truth, ABC)
    scores = boundary_scores(BoundarySums.empty(3) + good + bad + bad)
    assert scores.image_f[:2].tolist() == [pytest.approx(1 / 3)] * 2
    assert scores.precision[0] == scores.recall[0] == pytest.approx(12 / 36)
    assert scores.f[0] == pytest.approx(1 / 3)
    assert scores.rows()[2] == {"id": 2, "iou": None, "f": None, "image_f": None}
    assert scores.means()["f"] == pytest.approx(1 / 3)
    assert boundary_scores(BoundarySums.empty(3)).means() == dict.fromkeys(["iou", "f", "image_f"])


@given(maps([0, 1, 2, 255]))
def test_stored_sums_come_back(pair) -> None:
    sums = BoundarySums.of(*pair, ABC)
    again = BoundarySums.from_list(3, sums.to_list())
    for name in [*COUNTS, "image_f", "images"]:
        np.testing.assert_array_equal(getattr(again, name), getattr(sums, name))
        assert getattr(again, name).dtype == getattr(sums, name).dtype


@pytest.mark.parametrize(
    ("prediction", "truth", "error", "message"),
    [
        ([[0, 1]], [[0]], InputError, r"prediction of img has shape \(1, 2\)"),
        ([[7]], [[0]], UnknownClassError, "the prediction of img holds class id 7"),
        ([[0]], [[3]], UnknownClassError, "the ground truth of img holds class id 3"),
    ],
)
def test_maps_that_cannot_be_compared_are_named(prediction, truth, error, message) -> None:
    maps_ = np.array(prediction, np.uint8), np.array(truth, np.uint8)
    with pytest.raises(error, match=message):
        BoundarySums.of(*maps_, ABC, where="img")


def test_sums_of_other_tables_are_refused() -> None:
    with pytest.raises(InputError, match="of 2 and of 3 classes cannot be added"):
        BoundarySums.empty(2) + BoundarySums.empty(3)
    with pytest.raises(InputError, match="1 numbers are no boundary sums of 2 classes; 18"):
        BoundarySums.from_list(2, [0])
