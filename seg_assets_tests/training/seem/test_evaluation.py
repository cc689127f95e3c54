"""Scores by name (S28), and predictions that are known to be right."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.modeling.seem.features import ImageFeatures, Prediction
from seg_assets.modeling.seem.postprocess import semantic
from seg_assets.training.seem import evaluation
from seg_assets.training.seem.evaluation import evaluate, semantic_numbers
from seg_assets.training.seem.samples import SegmentationSample
from seg_assets_tests.training.seem.shapes import Shapes, tiny_seem

THREE = ClassTable(
    "three", "three", tuple(SemanticClass(i, n, (i, 0, 0)) for i, n in enumerate("abc"))
)


def test_scores_of_a_small_map_by_hand_s28() -> None:
    truth = np.array([[0, 0, 1, 1]] * 4, np.uint8)
    found = np.array([[0, 1, 1, 1]] * 4, np.uint8)
    numbers = semantic_numbers(ConfusionMatrix.of(found, truth, THREE))
    want = {
        "IoU-a": 1 / 2,
        "IoU-b": 2 / 3,
        "ACC-a": 1 / 2,
        "ACC-b": 1,
        "Recall-a": 1 / 2,
        "Recall-b": 1,
        "Precision-a": 1,
        "Precision-b": 2 / 3,
        "mIoU": 7 / 12,
        "fwIoU": 7 / 12,
        "mACC": 3 / 4,
        "pACC": 3 / 4,
    }
    assert numbers == pytest.approx(want)  # nothing is said of c, which does not occur


def truth_as_prediction(
    model: object, table: object, sample: SegmentationSample, size: int
) -> tuple[ImageFeatures, Prediction]:
    """One query per segment that is sure of its class, and whose mask is the segment."""
    count, side = len(sample.masks), size // 4
    masks = torch.from_numpy(sample.masks[:, 2::4, 2::4]).float() * 40 - 20
    logits = torch.full((1, count, 5), -20.0)
    logits[0, torch.arange(count), torch.from_numpy(sample.class_ids)] = 20
    features = ImageFeatures(
        masks[None].reshape(1, count, side, side), [], [], [], [], [], (size, size), (size, size)
    )
    return features, Prediction(logits, logits, torch.eye(count)[None])


@pytest.mark.parametrize("side", [64, 128], ids=["own size", "shrunk"])
def test_right_answers_score_high(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    def answer(model, table, sample, size):
        step = side // 64
        small = SegmentationSample(
            sample.image[::step, ::step],
            sample.masks[:, ::step, ::step],
            sample.class_ids,
            sample.label_map[::step, ::step],
            sample.referred[:, ::step, ::step],
        )
        return truth_as_prediction(model, table, small, size)

    monkeypatch.setattr(evaluation, "predict", answer)
    numbers = evaluate(tiny_seem(), torch.zeros(5, 64), Shapes(3, side), 64)
    assert numbers["mIoU"] > 0.85  # edges are smeared by enlarging from stride 4
    assert numbers["PQ"] > 0.85
    assert numbers["RQ"] == 1
    assert numbers["PQ-things"] < numbers["PQ-stuff"] <= 1


@pytest.mark.parametrize("size", [(13, 9), (40, 30), (20, 12), (1, 1)])
def test_rows_one_after_the_other_give_the_same_classes(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """All at once is upstream's order: masks to the image's own size, then classes."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 5, generator=generator)
    masks = 4 * torch.randn(6, 20, 12, generator=generator)
    whole = F.interpolate(masks[None], size=size, mode="bilinear", align_corners=False)[0]
    monkeypatch.setattr(evaluation, "PIXELS_AT_ONCE", 100)
    found = evaluation.best_classes(logits, masks, size)
    assert found.dtype == torch.uint8
    assert torch.equal(found, semantic(logits, whole).argmax(0).to(torch.uint8))


def test_queries_that_are_not_sure_own_no_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probabilities .85 and .75 of the right class; the rule keeps those above .8."""
    quality = {}
    for probability in (0.85, 0.75):

        def answer(model, table, sample, size, probability=probability):
            features, prediction = truth_as_prediction(model, table, sample, size)
            # of five classes, the four others share the rest
            sure = math.log(4 * probability / (1 - probability))
            logits = torch.where(prediction.logits > 0, sure, 0.0)
            return features, replace(prediction, logits=logits)

        monkeypatch.setattr(evaluation, "predict", answer)
        numbers = evaluate(tiny_seem(), torch.zeros(5, 64), Shapes(1), 64)
        quality[probability] = numbers["RQ"]
    assert quality == {0.85: 1, 0.75: 0}


def test_an_image_of_another_size_may_have_no_sure_query() -> None:
    numbers = evaluate(tiny_seem().eval(), torch.zeros(5, 64), Shapes(1, 96), 64)
    assert numbers["PQ"] == 0
    assert 0 <= numbers["mIoU"] < 1


def test_each_process_scores_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "predict", truth_as_prediction)
    seen: list[int] = []

    class Watched(Shapes):
        def __getitem__(self, index: int):
            seen.append(index)
            return super().__getitem__(index)

    monkeypatch.setattr(evaluation, "share_of_rank", lambda count: range(1, count, 2))
    evaluate(tiny_seem(), torch.zeros(5, 64), Watched(5), 64)
    assert seen == [1, 3]
