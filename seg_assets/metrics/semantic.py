"""Scores of semantic segmentation, from a confusion matrix."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.metrics.confusion import ConfusionMatrix


class ClassScores(TypedDict):
    """The scores of one class; None where a score is not defined."""

    id: int
    name: str
    iou: float | None
    accuracy: float | None
    precision: float | None
    recall: float | None
    truth_pixels: int
    predicted_pixels: int


class SemanticReport(TypedDict):
    """All scores, ready for JSON; None where a score is not defined."""

    table: str
    pixels: int
    miou: float | None
    fwiou: float | None
    macc: float | None
    aacc: float | None
    classes: list[ClassScores]


@dataclass(frozen=True, eq=False)
class SemanticScores:
    """Scores over all the images of a confusion matrix, 0..1, nan where not defined.

    For each class: correct = pixels of the class predicted as it, truth = its pixels, predicted =
    pixels predicted as it; pixels without a true label count nowhere.

    Attributes:
        table: The class table with C classes.
        iou: (C,) float64, correct / (truth + predicted - correct); nan if the class is in neither.
        accuracy: (C,) float64, correct / truth; nan if the class is not in the truth. This is the
            "Acc" of segmentation benchmarks, and the same number as ``recall``.
        precision: (C,) float64, correct / predicted; nan if the class is never predicted.
        recall: (C,) float64, correct / truth.
        miou: Mean of ``iou`` over the classes where it is defined. A class that is predicted but
            never true counts with 0.
        fwiou: Mean of ``iou`` weighted by each class's share of the truth.
        macc: Mean of ``accuracy`` over the classes in the truth.
        aacc: Share of all counted pixels that are correct.
        truth_pixels: (C,) int64.
        predicted_pixels: (C,) int64.
    """

    table: ClassTable
    iou: np.ndarray
    accuracy: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    miou: float
    fwiou: float
    macc: float
    aacc: float
    truth_pixels: np.ndarray
    predicted_pixels: np.ndarray

    def rows(self) -> list[ClassScores]:
        """Return one row per class, in the order of ids, with None for nan."""
        return [
            ClassScores(
                id=item.id,
                name=item.name,
                iou=_number(self.iou[item.id]),
                accuracy=_number(self.accuracy[item.id]),
                precision=_number(self.precision[item.id]),
                recall=_number(self.recall[item.id]),
                truth_pixels=int(self.truth_pixels[item.id]),
                predicted_pixels=int(self.predicted_pixels[item.id]),
            )
            for item in self.table.classes
        ]

    def to_json(self) -> SemanticReport:
        """Return everything as plain Python values that JSON can hold, None for nan."""
        return SemanticReport(
            table=self.table.name,
            pixels=int(self.truth_pixels.sum()),
            miou=_number(self.miou),
            fwiou=_number(self.fwiou),
            macc=_number(self.macc),
            aacc=_number(self.aacc),
            classes=self.rows(),
        )


def semantic_scores(
    confusion: ConfusionMatrix, *, exclude: Iterable[SemanticClass] = ()
) -> SemanticScores:
    """Compute the scores of a confusion matrix, dividing once over all its images.

    Args:
        confusion: The sum over the images to score.
        exclude: Classes left out of mIoU, fwIoU and mAcc, for instance those that the labeller
            cannot name (``ClassMap.unreachable()``). Their own scores and aAcc stay as they are.

    Returns:
        The scores. Without any counted pixel every score is nan.
    """
    correct, truth, predicted = confusion.correct, confusion.truth_area, confusion.predicted_area
    iou = _divide(correct, truth + predicted - correct)
    accuracy = _divide(correct, truth)
    included = np.ones(len(confusion.table), bool)
    included[[item.id for item in exclude]] = False
    seen = included & (truth > 0)
    return SemanticScores(
        table=confusion.table,
        iou=iou,
        accuracy=accuracy,
        precision=_divide(correct, predicted),
        recall=accuracy,
        miou=_mean(iou[included & ~np.isnan(iou)]),
        fwiou=_ratio(float((truth[seen] * iou[seen]).sum()), int(truth[seen].sum())),
        macc=_mean(accuracy[seen]),
        aacc=_ratio(int(correct.sum()), confusion.pixels),
        truth_pixels=truth,
        predicted_pixels=predicted,
    )


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole as float64, nan where whole is 0."""
    result = np.full(part.shape, np.nan)
    return np.divide(part, whole, out=result, where=whole > 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else math.nan


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
