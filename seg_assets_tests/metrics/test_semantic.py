import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg_assets.classes.table import ClassTable, SemanticClass, load_class_table
from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.metrics.semantic import SemanticScores, semantic_scores

ABC = ClassTable(
    "abc", "Three letters", tuple(SemanticClass(i, n, (i + 1, 0, 0)) for i, n in enumerate("abc"))
)


def score(counts: list[list[int]], **options: tuple[SemanticClass, ...]) -> SemanticScores:
    return semantic_scores(ConfusionMatrix(ABC, np.array(counts, np.int64)), **options)


# Golden numbers: outputs of the evaluation function of Semantic-Segment-Anything on synthetic maps
# (shared golden/pipeline, seed 20240611). Areas are exact; scores are stored with 6 decimals.


@pytest.mark.parametrize(
    ("data_set", "table"),
    [("cityscapes", "cityscapes19"), ("ade20k", "ade150"), ("foggy_driving", "cityscapes19")],
)
def test_scores_equal_the_golden_evaluation(shared_dir: Path, data_set: str, table: str) -> None:
    golden = shared_dir / "golden/pipeline"
    expected = json.loads((golden / "eval_expected.json").read_text())[data_set]
    classes = load_class_table(table)
    total = ConfusionMatrix.empty(classes)
    with np.load(golden / "eval_inputs.npz") as inputs:
        for key in inputs:
            if not key.startswith(f"{data_set}_pred_"):
                continue
            truth = inputs[key.replace("_pred_", "_gt_")]
            if data_set == "ade20k":
                truth = truth - np.uint8(1)  # raw ADE20K: 0 is no label and wraps to 255
            total += ConfusionMatrix.of(inputs[key], truth, classes)
    assert total.correct.tolist() == expected["area_intersect"]
    assert total.predicted_area.tolist() == expected["area_pred"]
    assert total.truth_area.tolist() == expected["area_label"]

    scores = semantic_scores(total)
    assert rounded(scores.iou, 6) == expected["IoU"]
    assert rounded(scores.accuracy, 6) == expected["Acc"]
    assert round(scores.aacc, 6) == expected["aAcc"]
    assert list(classes.names) == [name.strip() for name in expected["table_class"]["Class"]]
    assert rounded(scores.iou * 100, 2) == expected["table_class"]["IoU"]
    assert rounded(scores.accuracy * 100, 2) == expected["table_class"]["Acc"]
    summary = {"aAcc": scores.aacc, "mIoU": scores.miou, "mAcc": scores.macc}
    assert {k: round(v * 100, 2) for k, v in summary.items()} == expected["table_summary"]


def rounded(values: np.ndarray, decimals: int) -> list[float | None]:
    return [None if math.isnan(v) else round(float(v), decimals) for v in values]


def test_scores_of_a_small_matrix() -> None:
    #          a  b  c  nothing
    scores = score([[6, 2, 0, 2], [1, 3, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(scores.iou, [6 / 11, 3 / 6, np.nan])
    np.testing.assert_allclose(scores.accuracy, [6 / 10, 3 / 4, np.nan])
    np.testing.assert_allclose(scores.recall, scores.accuracy)
    np.testing.assert_allclose(scores.precision, [6 / 7, 3 / 5, np.nan])
    assert scores.miou == pytest.approx((6 / 11 + 3 / 6) / 2)
    assert scores.fwiou == pytest.approx((10 * 6 / 11 + 4 * 3 / 6) / 14)
    assert scores.macc == pytest.approx((0.6 + 0.75) / 2)
    assert scores.aacc == pytest.approx(9 / 14)


def test_three_classes_on_4_x_4_pixels_by_hand() -> None:  # S28
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2], [2, 2, 2, 255]], np.uint8)
    prediction = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [2, 2, 0, 0], [2, 2, 2, 2]], np.uint8)
    scores = semantic_scores(ConfusionMatrix.of(prediction, truth, ABC))
    np.testing.assert_allclose(scores.iou, [3 / 6, 4 / 5, 5 / 7])
    np.testing.assert_allclose(scores.accuracy, [3 / 4, 4 / 4, 5 / 7])
    np.testing.assert_allclose(scores.recall, [3 / 4, 4 / 4, 5 / 7])
    np.testing.assert_allclose(scores.precision, [3 / 5, 4 / 5, 5 / 5])
    assert scores.miou == pytest.approx((3 / 6 + 4 / 5 + 5 / 7) / 3)
    assert scores.fwiou == pytest.approx((4 * 3 / 6 + 4 * 4 / 5 + 7 * 5 / 7) / 15)
    assert scores.macc == pytest.approx((3 / 4 + 4 / 4 + 5 / 7) / 3)
    assert scores.aacc == pytest.approx(12 / 15)


def test_a_class_that_is_only_predicted_lowers_miou_but_not_macc() -> None:
    scores = score([[4, 0, 1, 0], [0, 5, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(scores.iou, [0.8, 1.0, 0.0])
    np.testing.assert_allclose(scores.accuracy, [0.8, 1.0, np.nan])
    np.testing.assert_allclose(scores.precision, [1.0, 1.0, 0.0])
    assert scores.miou == pytest.approx(0.6)
    assert scores.macc == pytest.approx(0.9)


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    scores = score([[0, 0, 0, 3], [0, 5, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(scores.iou, [0.0, 1.0, np.nan])
    np.testing.assert_allclose(scores.precision, [np.nan, 1.0, np.nan])


def test_without_counted_pixels_nothing_is_defined() -> None:
    scores = semantic_scores(ConfusionMatrix.empty(ABC))
    means = [scores.miou, scores.fwiou, scores.macc, scores.aacc]
    assert np.isnan([*scores.iou, *scores.precision, *means]).all()


def test_excluded_classes_leave_the_means_only() -> None:
    counts = [[6, 2, 0, 2], [1, 3, 0, 0], [4, 0, 0, 0]]
    all_three = score(counts)
    two = score(counts, exclude=(ABC.classes[2],))
    np.testing.assert_array_equal(two.iou, all_three.iou)
    assert two.aacc == all_three.aacc
    assert two.miou == pytest.approx(all_three.iou[:2].mean())
    assert two.macc == pytest.approx(all_three.accuracy[:2].mean())
    assert two.fwiou == pytest.approx((10 * all_three.iou[0] + 4 * all_three.iou[1]) / 14)


def test_rows_and_json_hold_plain_values_with_none_for_nan() -> None:
    scores = score([[6, 2, 0, 2], [1, 3, 0, 0], [0, 0, 0, 0]])
    assert scores.rows()[2] == {
        "id": 2,
        "name": "c",
        "iou": None,
        "accuracy": None,
        "precision": None,
        "recall": None,
        "truth_pixels": 0,
        "predicted_pixels": 0,
    }
    report = scores.to_json()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["classes"] == scores.rows()
    assert (report["table"], report["pixels"]) == ("abc", 14)
    assert semantic_scores(ConfusionMatrix.empty(ABC)).to_json()["miou"] is None


@given(hnp.arrays(np.int64, (3, 4), elements=st.integers(0, 2**40)))
def test_scores_stay_between_0_and_1_and_iou_is_the_smallest(counts: np.ndarray) -> None:
    scores = semantic_scores(ConfusionMatrix(ABC, counts))
    for values in (scores.iou, scores.accuracy, scores.precision):
        defined = values[~np.isnan(values)]
        assert ((defined >= 0) & (defined <= 1)).all()
    assert not (scores.iou > scores.accuracy).any()
    assert not (scores.iou > scores.precision).any()


@given(hnp.arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 1, 2])))
def test_a_perfect_prediction_scores_1(label_map: np.ndarray) -> None:
    scores = semantic_scores(ConfusionMatrix.of(label_map, label_map, ABC))
    assert scores.miou == scores.macc == scores.aacc == 1.0
    assert scores.fwiou == pytest.approx(1.0)
