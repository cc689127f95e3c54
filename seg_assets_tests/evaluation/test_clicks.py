"""One click per true object, and what the model makes of it."""

import numpy as np
import pytest

from seg_assets.data.ground_truth.image_truth import ImageTruth
from seg_assets.errors import ComparisonError
from seg_assets.evaluation.clicks import (
    OBJECTS_AT_ONCE,
    click_objects,
    innermost_pixel,
    sum_clicks,
)
from seg_assets.masks.prompted_masks import PromptedMasks
from seg_assets.masks.prompts import Prompts
from seg_assets.metrics.click_iou import click_scores

IMAGE = np.zeros((20, 30, 3), np.uint8)


class Answers:
    """A predictor that answers each click with the segment under it, shrunk or whole."""

    def __init__(self, ids: np.ndarray, trusts_whole: bool) -> None:
        self.ids, self.trusts_whole = ids, trusts_whole
        self.points: list[tuple[float, float]] = []

    def embed(self, image: np.ndarray) -> np.ndarray:
        return image

    def predict(self, embedding, prompts: Prompts, *, multimask: bool) -> PromptedMasks:
        assert multimask
        assert prompts.labels.tolist() == [[1]] * len(prompts)
        masks = []
        for ((x, y),) in prompts.points.tolist():
            self.points.append((x, y))
            whole = self.ids == self.ids[int(y), int(x)]
            half = whole & (np.cumsum(whole).reshape(whole.shape) <= whole.sum() // 2)
            masks.append([half, whole])
        trust = [0.2, 0.9] if self.trusts_whole else [0.9, 0.2]
        return PromptedMasks(
            np.array(masks), np.array([trust] * len(prompts), np.float32), np.zeros(0)
        )


def squares(count: int) -> ImageTruth:
    ids = np.zeros((20, 30), np.int32)
    for i in range(count):
        row, column = divmod(i, 7)
        ids[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] = i + 1
    classes = {i: 0 for i in range(1, count + 1)}
    return ImageTruth(np.where(ids > 0, 0, 255).astype(np.uint8), ids, classes)


@pytest.mark.parametrize(("trusts_whole", "chosen"), [(True, 1.0), (False, 0.5)])
def test_the_mask_that_is_trusted_and_the_best_one_are_told_apart(trusts_whole: bool, chosen):
    truth = squares(3)
    found = click_objects(Answers(truth.segment_ids, trusts_whole), IMAGE, truth, "a")
    assert [(item.object_id, item.area) for item in found] == [(1, 16), (2, 16), (3, 16)]
    scores = click_scores(sum_clicks(found))
    assert (scores.objects, scores.chosen, scores.best) == (3, chosen, 1.0)


def test_more_objects_than_fit_at_once_are_all_clicked_in_the_middle_of_a_pixel():
    count = OBJECTS_AT_ONCE + 5
    truth = squares(count)
    answers = Answers(truth.segment_ids, True)
    found = click_objects(answers, IMAGE, truth, "a")
    assert [item.object_id for item in found] == list(range(1, count + 1))
    assert answers.points == [(item.x + 0.5, item.y + 0.5) for item in found]
    assert all(truth.segment_ids[item.y, item.x] == item.object_id for item in found)


def test_crowds_are_not_clicked_and_no_object_is_no_work():
    truth = squares(2)
    crowd = ImageTruth(truth.label_map, truth.segment_ids, truth.segment_classes, frozenset({1}))
    answers = Answers(truth.segment_ids, True)
    assert [item.object_id for item in click_objects(answers, IMAGE, crowd, "a")] == [2]
    nothing = ImageTruth(truth.label_map, np.zeros((20, 30), np.int32), {})
    assert click_objects(answers, IMAGE, nothing, "a") == []


def test_truth_without_objects_or_of_another_size_is_refused():
    truth = squares(2)
    answers = Answers(truth.segment_ids, True)
    with pytest.raises(ComparisonError, match="ground truth of a knows classes only"):
        click_objects(answers, IMAGE, ImageTruth(truth.label_map), "a")
    with pytest.raises(ComparisonError, match="give the truth of this image"):
        click_objects(answers, IMAGE[:10], truth, "a")


def test_the_innermost_pixel_counts_the_image_border_as_outside():
    mask = np.ones((5, 9), bool)
    assert innermost_pixel(mask) == (2, 2)  # the first of the middle row's equals
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    mask[6:8, 6:8] = False
    row_distance = {
        (x, y): min(
            np.hypot(x - c, y - r)
            for r in range(-1, 10)
            for c in range(-1, 10)
            if not (0 <= r < 9 and 0 <= c < 9 and mask[r, c])
        )
        for y in range(9)
        for x in range(9)
        if mask[y, x]
    }
    largest = max(row_distance.values())
    first = min((y, x) for (x, y), d in row_distance.items() if d == pytest.approx(largest))
    assert innermost_pixel(mask) == (first[1], first[0])


def test_a_single_pixel_is_clicked_itself():
    mask = np.zeros((4, 6), bool)
    mask[3, 5] = True
    assert innermost_pixel(mask) == (5, 3)
