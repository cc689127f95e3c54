import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.errors import InputError
from seg_assets.metrics.best_mask import ObjectMatch, match_objects
from seg_assets.metrics.mask_recall import (
    MaskRecall,
    match_masks,
    recall_curve,
    recall_scores,
)
from seg_assets_tests.metrics.coco_rles import encode, rows


@given(
    hnp.arrays(np.int64, (4, 5), elements=st.integers(0, 3)),
    hnp.arrays(np.bool_, st.integers(0, 4).map(lambda n: (n, 4, 5))),
)
def test_run_lengths_give_what_pixels_give(objects: np.ndarray, masks: np.ndarray) -> None:
    ids = [i for i in np.unique(objects).tolist() if i]
    found = match_masks([encode(objects == i) for i in ids], [encode(mask) for mask in masks])
    expected = [
        ObjectMatch(n, match.area, match.iou, match.mask)
        for n, match in enumerate(match_objects(objects, masks))
    ]
    assert found == expected


def test_scores_of_three_objects_by_hand() -> None:
    matches = [
        ObjectMatch(0, 32 * 32, 0.5, 0),  # both small and medium
        ObjectMatch(1, 96 * 96 + 1, 0.76, 1),
        ObjectMatch(2, 10, 0.0, None),
    ]
    every, small, medium, large = recall_scores(MaskRecall.of_matches(matches))
    assert every == {
        "size": "all",
        "objects": 3,
        "mean_iou": pytest.approx(1.26 / 3),
        "recall": pytest.approx((1 + 6) / 30),
        "recall_50": pytest.approx(2 / 3),
        "recall_75": pytest.approx(1 / 3),
    }
    assert (small["objects"], small["mean_iou"], small["recall_50"]) == (2, 0.25, 0.5)
    assert (medium["objects"], medium["recall"]) == (1, 0.1)
    assert (large["objects"], large["mean_iou"]) == (1, 0.76)


def test_masks_may_overlap_and_serve_several_objects() -> None:
    objects = [rows("1100"), rows("0011"), rows("1111")]
    sums = MaskRecall.of(objects, [rows("1111"), rows("0010")], "img")
    assert sums.iou[0] == 0.5 + 0.5 + 1
    assert recall_curve(sums).tolist() == [1.0] + [1 / 3] * 9


def test_sums_add_up_are_stored_and_may_be_empty() -> None:
    first = MaskRecall.of([rows("1100")], [rows("1000")])
    second = MaskRecall.of([rows("1100")], [])
    total = MaskRecall.empty() + first + second
    assert recall_scores(total)[0]["mean_iou"] == 0.25
    again = MaskRecall.from_list(total.to_list())
    assert again.to_list() == total.to_list()
    assert (again.objects.dtype, again.found.dtype) == (np.int64, np.int64)
    nothing = recall_scores(MaskRecall.of([], [rows("11")]))[0]
    assert (nothing["objects"], nothing["mean_iou"], nothing["recall"]) == (0, None, None)
    assert np.isnan(recall_curve(MaskRecall.empty())).all()
    with pytest.raises(InputError, match="3 numbers are no sums of mask recall; 48 are wanted"):
        MaskRecall.from_list([1, 2, 3])


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match="1 x 2 pixels cannot be compared with masks of 1 x 3"):
        match_masks([rows("11")], [rows("111")])
    with pytest.raises(InputError, match="the true objects of img"):
        match_masks([rows("11"), rows("111")], [], "img")
