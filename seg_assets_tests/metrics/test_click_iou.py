import numpy as np
import pytest

from seg_assets.errors import InputError
from seg_assets.metrics.click_iou import ClickIou, ClickScores, click_rows, click_scores

IOUS = np.array([[0.25, 0.75, 0.5], [1.0, 0.0, 0.0]])
PREDICTED = np.array([[0.9, 0.2, 0.1], [-3.0, 1.5, 1.5]])


def test_the_highest_prediction_chooses_and_the_oracle_knows() -> None:
    assert click_rows(IOUS, PREDICTED).tolist() == [[0.25, 0.75], [0.0, 1.0]]
    assert click_scores(ClickIou.of(IOUS, PREDICTED)) == ClickScores(0.125, 0.875, 2)


def test_the_mean_is_over_objects_not_over_images() -> None:
    first = ClickIou.of(IOUS, PREDICTED)
    second = ClickIou.of(IOUS[:1], PREDICTED[:1])
    total = ClickIou.empty() + first + second
    assert click_scores(total) == ClickScores(0.5 / 3, 2.5 / 3, 3)
    assert ClickIou.from_list(total.to_list()) == total
    assert click_scores(ClickIou.empty()) == ClickScores(None, None, 0)
    assert ClickIou.of(np.zeros((0, 6)), np.zeros((0, 6))) == ClickIou.empty()


@pytest.mark.parametrize(
    ("ious", "predicted", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2)), r"shape \(2, 3\) and scores of shape \(2, 2\)"),
        (np.zeros((2, 0)), np.zeros((2, 0)), "at least one mask each"),
        (np.full((1, 1), 1.5), np.zeros((1, 1)), "must lie in 0..1"),
        (np.zeros((1, 1)), np.full((1, 1), np.nan), "scores must be finite"),
    ],
)
def test_faulty_numbers_are_refused(ious, predicted, message) -> None:
    with pytest.raises(InputError, match=message):
        ClickIou.of(ious, predicted)


def test_sums_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="2 numbers are no sums of 1-IoU"):
        ClickIou.from_list([1, 2])
