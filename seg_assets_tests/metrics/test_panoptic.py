"""S27. The rule and the golden vector are panopticapi's (its evaluation.py)."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.errors import InputError
from seg_assets.metrics.panoptic import (
    PanopticSums,
    Quality,
    count_panoptic,
    panoptic_scores,
)


def golden_maps() -> tuple[np.ndarray, np.ndarray]:
    """8 x 8: stuff above, two things below; the prediction shifts borders by a few pixels."""
    truth = np.zeros((8, 8), np.int32)
    truth[:4] = 11
    truth[4:, :4] = 21
    truth[4:, 4:6] = 22
    prediction = truth.copy()
    prediction[3, :4] = 21
    prediction[4:, 4:] = 22
    return prediction, truth


CLASSES = {11: 0, 21: 1, 22: 1}


def strip(text: str) -> np.ndarray:
    """One row of segment ids: "1120" is two pixels of 1, one of 2, one without a segment."""
    return np.array([[int(character) for character in text]], np.int32)


def sums_of(prediction: str, truth: str, **options) -> PanopticSums:
    """Segment ids below 5 are of class 0, others of class 1."""
    maps = strip(prediction), strip(truth)
    classes = [{i: int(i >= 5) for i in np.unique(m).tolist() if i} for m in maps]
    return count_panoptic(maps[0], classes[0], maps[1], classes[1], classes=2, **options)


def as_tuple(sums: PanopticSums) -> tuple[list[float], list[int], list[int], list[int]]:
    return sums.iou.tolist(), sums.matched.tolist(), sums.wrong.tolist(), sums.missed.tolist()


def test_golden_vector_of_panopticapi() -> None:
    prediction, truth = golden_maps()
    sums = count_panoptic(prediction, CLASSES, truth, CLASSES, classes=2)
    scores = panoptic_scores(sums, [False, True])
    assert scores.all == pytest.approx(Quality(pq=0.8875, sq=0.8875, rq=1.0, classes=2))
    assert scores.things == pytest.approx(Quality(pq=0.9, sq=0.9, rq=1.0, classes=1))
    assert scores.stuff == pytest.approx(Quality(pq=0.875, sq=0.875, rq=1.0, classes=1))


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        # IoU 2/4 is no match: one wrong, one missed
        ("1100", "2222", ([0, 0], [0, 0], [1, 0], [1, 0])),
        ("1110", "2222", ([0.75, 0], [1, 0], [0, 0], [0, 0])),
        # another class never matches
        ("1111", "5555", ([0, 0], [0, 0], [1, 0], [0, 1])),
        # predicted pixels without a true segment do not count to the union: 2 / 2
        ("1110", "2200", ([1, 0], [1, 0], [0, 0], [0, 0])),
        # more than half of a wrong segment without truth: excused; half of it: not
        ("0111", "5500", ([0, 0], [0, 0], [0, 0], [0, 1])),
        ("0110", "5500", ([0, 0], [0, 0], [1, 0], [0, 1])),
        # nothing predicted
        ("0000", "2200", ([0, 0], [0, 0], [0, 0], [1, 0])),
        # nothing true
        ("1111", "0000", ([0, 0], [0, 0], [0, 0], [0, 0])),
        # one true segment in two halves
        ("1122", "3333", ([0, 0], [0, 0], [2, 0], [1, 0])),
    ],
)
def test_matching_and_void(prediction: str, truth: str, expected) -> None:
    assert as_tuple(sums_of(prediction, truth)) == expected


@pytest.mark.parametrize(
    ("prediction", "truth", "crowds", "expected"),
    [
        # a crowd is neither matched nor missed, and excuses segments of its class
        ("1111", "2222", {2}, ([0, 0], [0, 0], [0, 0], [0, 0])),
        ("0000", "2222", {2}, ([0, 0], [0, 0], [0, 0], [0, 0])),
        # not those of another class
        ("5555", "2222", {2}, ([0, 0], [0, 0], [0, 1], [0, 0])),
        # half on the crowd is not more than half
        ("1111", "2255", {2}, ([0, 0], [0, 0], [1, 0], [0, 1])),
        # crowd and void count together
        ("11110", "20555", {2}, ([0, 0], [0, 0], [1, 0], [0, 1])),
        ("111110", "220555", {2}, ([0, 0], [0, 0], [0, 0], [0, 1])),
        # two crowds of the class count together
        ("1111", "2355", {2, 3}, ([0, 0], [0, 0], [1, 0], [0, 1])),
        ("1111", "2345", {2, 3}, ([0, 0], [0, 0], [1, 0], [1, 1])),
        ("1111", "2235", {2, 3}, ([0, 0], [0, 0], [0, 0], [0, 1])),
    ],
)
def test_crowds(prediction: str, truth: str, crowds: set[int], expected) -> None:
    assert as_tuple(sums_of(prediction, truth, crowds=crowds)) == expected


def test_sums_add_up_over_images_and_divide_once() -> None:
    first, second = sums_of("1110", "2222"), sums_of("1100", "2222")
    total = PanopticSums.empty(2) + first + second
    assert as_tuple(total) == ([0.75, 0], [1, 0], [1, 0], [1, 0])
    scores = panoptic_scores(total, [True, False])
    assert scores.all == pytest.approx(Quality(pq=0.375, sq=0.75, rq=0.5, classes=1))
    assert scores.stuff == Quality(pq=None, sq=None, rq=None, classes=0)
    assert scores.rows() == [
        {"id": 0, "pq": 0.375, "sq": 0.75, "rq": 0.5, "matched": 1, "wrong": 1, "missed": 1},
        {"id": 1, "pq": None, "sq": None, "rq": None, "matched": 0, "wrong": 0, "missed": 0},
    ]


def test_a_class_that_is_never_matched_counts_with_zero() -> None:
    scores = panoptic_scores(sums_of("1111", "5555"), [True, True])
    assert scores.all == Quality(pq=0.0, sq=0.0, rq=0.0, classes=2)


def reference(prediction, predicted_classes, truth, true_classes, crowds, classes):
    """The rule pixel set by pixel set, written down as slowly as it reads."""
    sums = PanopticSums.empty(classes)
    void = truth == 0
    hit_true, hit_predicted = set(), set()
    for t, p in itertools.product(true_classes, predicted_classes):
        if t in crowds or true_classes[t] != predicted_classes[p]:
            continue
        a, b = truth == t, prediction == p
        iou = (a & b).sum() / (a | (b & ~void)).sum()
        if iou > 0.5:
            sums.iou[true_classes[t]] += iou
            sums.matched[true_classes[t]] += 1
            hit_true.add(t)
            hit_predicted.add(p)
    for t in true_classes.keys() - hit_true - set(crowds):
        sums.missed[true_classes[t]] += 1
    for p in predicted_classes.keys() - hit_predicted:
        same = [t for t in crowds if true_classes[t] == predicted_classes[p]]
        ignored = (void | np.isin(truth, same)) & (prediction == p)
        if ignored.sum() <= 0.5 * (prediction == p).sum():
            sums.wrong[predicted_classes[p]] += 1
    return sums


@given(
    hnp.arrays(np.int32, (2, 4, 5), elements=st.integers(0, 4)),
    st.lists(st.integers(0, 1), min_size=4, max_size=4),
    st.sets(st.integers(1, 4)),
)
def test_equals_the_rule_written_out(maps: np.ndarray, kinds: list[int], crowds: set[int]) -> None:
    predicted, true = (
        {i: kinds[i - 1] for i in np.unique(m).tolist() if i} for m in (maps[0], maps[1])
    )
    crowds &= true.keys()
    found = count_panoptic(maps[0], predicted, maps[1], true, classes=2, crowds=crowds)
    expected = reference(maps[0], predicted, maps[1], true, crowds, 2)
    np.testing.assert_allclose(found.iou, expected.iou)
    assert as_tuple(found)[1:] == as_tuple(expected)[1:]


@given(hnp.arrays(np.int32, (4, 5), elements=st.integers(1, 4)))
def test_a_perfect_prediction_scores_1(ids: np.ndarray) -> None:
    classes = dict.fromkeys(np.unique(ids).tolist(), 0)
    sums = count_panoptic(ids + 7, {i + 7: 0 for i in classes}, ids, classes, classes=1)
    assert panoptic_scores(sums, [True]).all == Quality(pq=1.0, sq=1.0, rq=1.0, classes=1)


@pytest.mark.parametrize(
    ("prediction", "classes", "message"),
    [
        ("1122", {1: 0}, "the prediction of street holds segment 2, which has no class"),
        ("1111", {1: 0, 3: 0}, "the prediction of street lists segment 3, which has no pixel"),
        ("1111", {1: 2}, r"the prediction of street has class 2, outside 0\.\.1"),
        ("11", {1: 0}, r"has shape \(1, 2\) but the ground truth \(1, 4\)"),
    ],
)
def test_maps_and_lists_that_do_not_agree_are_refused(prediction, classes, message) -> None:
    with pytest.raises(InputError, match=message):
        count_panoptic(strip(prediction), classes, strip("1111"), {1: 0}, classes=2, where="street")


def test_tables_of_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="of 2 and of 3 classes cannot be added"):
        PanopticSums.empty(2) + PanopticSums.empty(3)
    with pytest.raises(InputError, match="3 classes are said to be things or stuff"):
        panoptic_scores(PanopticSums.empty(2), [True, False, True])


@given(hnp.arrays(np.int64, (3, 2), elements=st.integers(0, 2**40)), st.floats(0, 1e6))
def test_stored_sums_come_back(counts: np.ndarray, iou: float) -> None:
    sums = PanopticSums(np.array([iou, 0.1]), *counts)
    again = PanopticSums.from_list(2, sums.to_list())
    assert as_tuple(again) == as_tuple(sums)
    assert again.matched.dtype == np.int64
    with pytest.raises(InputError, match="8 numbers are no panoptic sums of 3 classes; 12"):
        PanopticSums.from_list(3, sums.to_list())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64])
def test_ids_of_any_integer_type_and_size(dtype: type) -> None:
    prediction, truth = (ids.astype(dtype) for ids in golden_maps())
    expected = count_panoptic(*golden_maps()[:1], CLASSES, golden_maps()[1], CLASSES, classes=2)
    far = 0 if dtype == np.uint8 else (1000 if dtype == np.uint16 else 256**3 - 100)
    moved = [np.where(ids > 0, ids + far, 0).astype(dtype) for ids in (prediction, truth)]
    classes = {i + far: c for i, c in CLASSES.items()}
    found = count_panoptic(moved[0], classes, moved[1], classes, classes=2)
    assert as_tuple(found) == as_tuple(expected)


def panopticapi_rule(prediction, predicted_classes, truth, true_classes, crowds, classes):
    """Its bookkeeping: areas and overlaps by id, the last crowd of a class stands for all."""
    area = {
        side: dict(zip(*np.unique(ids, return_counts=True), strict=True))
        for side, ids in (("predicted", prediction), ("true", truth))
    }
    both, counts = np.unique(
        np.stack([truth.ravel(), prediction.ravel()]), axis=1, return_counts=True
    )
    overlap = {(int(t), int(p)): int(n) for (t, p), n in zip(both.T, counts, strict=True)}
    iou, matched, wrong, missed = np.zeros(classes), *np.zeros((3, classes), np.int64)
    used: set[tuple[str, int]] = set()
    for (t, p), pixels in overlap.items():
        if t == 0 or p == 0 or t in crowds or true_classes[t] != predicted_classes[p]:
            continue
        union = area["predicted"][p] + area["true"][t] - pixels - overlap.get((0, p), 0)
        if pixels / union > 0.5:
            matched[true_classes[t]] += 1
            iou[true_classes[t]] += pixels / union
            used |= {("true", t), ("predicted", p)}
    last_crowd = {true_classes[t]: t for t in true_classes if t in crowds}
    for t, c in true_classes.items():
        missed[c] += ("true", t) not in used and t not in crowds
    for p, c in predicted_classes.items():
        if ("predicted", p) in used:
            continue
        excused = overlap.get((0, p), 0) + overlap.get((last_crowd.get(c, -1), p), 0)
        wrong[c] += excused / area["predicted"][p] <= 0.5
    return iou, matched, wrong, missed


@pytest.mark.parametrize("seed", range(8))
def test_random_maps_with_void_and_a_crowd_per_class_equal_panopticapi(seed: int) -> None:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:90, :130]
    maps = np.zeros((2, 90, 130), np.int32)
    for number in range(1, 40):
        place, size = random.uniform(0, 130, 2), random.uniform(5, 25)
        for side in maps:
            moved = place + random.normal(0, 3, 2)
            side[(y - moved[0]) ** 2 + (x - moved[1]) ** 2 < size**2] = number
    prediction, truth = maps
    class_of = {i: int(random.integers(5)) for i in range(1, 40)}
    predicted, true = ({i: class_of[i] for i in np.unique(m).tolist() if i} for m in maps)
    crowds = set({c: i for i, c in true.items() if random.random() < 0.3}.values())
    found = count_panoptic(prediction, predicted, truth, true, classes=5, crowds=crowds)
    iou, matched, wrong, missed = panopticapi_rule(prediction, predicted, truth, true, crowds, 5)
    np.testing.assert_allclose(found.iou, iou, rtol=1e-12)
    assert as_tuple(found)[1:] == (matched.tolist(), wrong.tolist(), missed.tolist())
    assert matched.sum() > 5
    assert wrong.sum() > 0
    assert missed.sum() > 0
