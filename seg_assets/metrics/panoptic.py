"""Panoptic quality: how well segments are found (RQ), how well they fit (SQ), both (PQ)."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypedDict

import numpy as np

from seg_assets.errors import InputError
from seg_assets.metrics.segment_matching import match_segments


@dataclass(frozen=True, eq=False)
class PanopticSums:
    """Matches by class. Adding sums adds the images they come from.

    Attributes:
        iou: (C,) float64, IoU summed over the matched pairs.
        matched: (C,) int64, pairs of a true and a predicted segment (true positives).
        wrong: (C,) int64, predicted segments without a match (false positives).
        missed: (C,) int64, true segments without a match (false negatives).
    """

    iou: np.ndarray
    matched: np.ndarray
    wrong: np.ndarray
    missed: np.ndarray

    @classmethod
    def empty(cls, classes: int) -> "PanopticSums":
        """Return the sums of no images, the neutral element of addition."""
        counts = (np.zeros(classes, np.int64) for _ in range(3))
        return cls(np.zeros(classes), *counts)

    @classmethod
    def from_list(cls, classes: int, values: Sequence[float]) -> "PanopticSums":
        """Rebuild sums from `to_list`.

        Raises:
            InputError: not 4 C numbers.
        """
        if len(values) != 4 * classes:
            raise InputError(
                f"{len(values)} numbers are no panoptic sums of {classes} classes; "
                f"{4 * classes} are wanted"
            )
        iou, *counts = np.asarray(values, np.float64).reshape(4, classes)
        return cls(iou.copy(), *(count.astype(np.int64) for count in counts))

    def to_list(self) -> list[float]:
        """Return iou, matched, wrong and missed, C numbers each, for storage."""
        return np.concatenate([self.iou, self.matched, self.wrong, self.missed]).tolist()

    def __add__(self, other: "PanopticSums") -> "PanopticSums":
        """Add the sums of other images.

        Raises:
            InputError: the numbers of classes differ.
        """
        if self.iou.shape != other.iou.shape:
            raise InputError(
                f"panoptic sums of {len(self.iou)} and of {len(other.iou)} classes cannot be "
                "added; compare all images in one table"
            )
        return PanopticSums(
            *(getattr(self, item.name) + getattr(other, item.name) for item in fields(self))
        )


def count_panoptic(
    prediction: np.ndarray,
    predicted_classes: Mapping[int, int],
    truth: np.ndarray,
    true_classes: Mapping[int, int],
    *,
    classes: int,
    crowds: Collection[int] = (),
    where: str = "",
) -> PanopticSums:
    """Match the segments of one image, by the rule of panopticapi (Kirillov et al. 2019).

    A true and a predicted segment of one class match if their IoU is above 0.5, where predicted
    pixels without a true segment do not count to the union. Crowds match nothing and are not
    missed. A predicted segment without a match is not wrong if more than half of it lies where
    there is no true segment, or on crowds of its class.

    One difference: here all crowds of a class count together, while panopticapi looks at the one
    that an image's JSON lists last. With one crowd per class and image, as is usual, the two agree;
    with several, panopticapi's result depends on their order.

    Args:
        prediction: (H, W) integers, segment ids, 0 where there is no segment.
        predicted_classes: predicted segment id -> class, 0..classes-1.
        truth: (H, W) integers, segment ids, 0 where there is no segment.
        true_classes: true segment id -> class, 0..classes-1.
        classes: number of classes.
        crowds: ids of the true segments that are crowds.
        where: the image, for messages.

    Raises:
        InputError: the maps differ in size, or a map and its segments do not agree.
    """
    of_image = f" of {where}" if where else ""
    if prediction.shape != truth.shape or prediction.ndim != 2:
        raise InputError(
            f"the prediction{of_image} has shape {prediction.shape} but the ground truth "
            f"{truth.shape}; compare maps of the same image at the same size"
        )
    found = match_segments(prediction, truth, predicted_classes, true_classes, crowds, where)
    for subject, known in (("prediction", predicted_classes), ("ground truth", true_classes)):
        if outside := {value for value in known.values() if not 0 <= value < classes}:
            raise InputError(
                f"the {subject}{of_image} has class {min(outside)}, outside 0..{classes - 1}; "
                "use training ids"
            )
    return PanopticSums(
        np.bincount(found.matched, found.ious, classes),
        np.bincount(found.matched, minlength=classes),
        np.bincount(found.wrong, minlength=classes),
        np.bincount(found.missed, minlength=classes),
    )


class Quality(TypedDict):
    """Means over the classes that occur; None where none does."""

    pq: float | None
    sq: float | None
    rq: float | None
    classes: int


class ClassQuality(TypedDict):
    """The scores of one class; None where it neither is true nor predicted."""

    id: int
    pq: float | None
    sq: float | None
    rq: float | None
    matched: int
    wrong: int
    missed: int


@dataclass(frozen=True, eq=False)
class PanopticScores:
    """Scores over all the images of some sums, 0..1.

    Attributes:
        pq: (C,) float64, summed IoU / (matched + wrong / 2 + missed / 2); nan for a class that is
            in neither truth nor prediction.
        sq: (C,) float64, mean IoU of the matched pairs, 0 without any; nan as in `pq`.
        rq: (C,) float64, matched / (matched + wrong / 2 + missed / 2); nan as in `pq`.
        sums: what they were computed from.
        is_thing: (C,) bool.
    """

    pq: np.ndarray
    sq: np.ndarray
    rq: np.ndarray
    sums: PanopticSums
    is_thing: np.ndarray

    @property
    def all(self) -> Quality:
        """Means over the classes that occur."""
        return self._mean(np.ones(len(self.pq), bool))

    @property
    def things(self) -> Quality:
        """Means over the things that occur."""
        return self._mean(self.is_thing)

    @property
    def stuff(self) -> Quality:
        """Means over the stuff that occurs."""
        return self._mean(~self.is_thing)

    def rows(self) -> list[ClassQuality]:
        """Return one row per class, with None for nan."""
        return [
            ClassQuality(
                id=number,
                pq=_number(self.pq[number]),
                sq=_number(self.sq[number]),
                rq=_number(self.rq[number]),
                matched=int(self.sums.matched[number]),
                wrong=int(self.sums.wrong[number]),
                missed=int(self.sums.missed[number]),
            )
            for number in range(len(self.pq))
        ]

    def _mean(self, chosen: np.ndarray) -> Quality:
        occurs = chosen & ~np.isnan(self.pq)
        if not occurs.any():
            return Quality(pq=None, sq=None, rq=None, classes=0)
        means = (float(values[occurs].mean()) for values in (self.pq, self.sq, self.rq))
        pq, sq, rq = means
        return Quality(pq=pq, sq=sq, rq=rq, classes=int(occurs.sum()))


def panoptic_scores(sums: PanopticSums, is_thing: Sequence[bool] | np.ndarray) -> PanopticScores:
    """Compute panoptic, segmentation and recognition quality, dividing once over all images.

    Args:
        sums: the sum over the images to score.
        is_thing: (C,) whether each class is a thing.

    Raises:
        InputError: `is_thing` has another length than the sums.
    """
    things = np.asarray(is_thing, bool)
    if things.shape != sums.iou.shape:
        raise InputError(
            f"{things.size} classes are said to be things or stuff, but the sums have "
            f"{sums.iou.size}; give the table of the sums"
        )
    weight = sums.matched + 0.5 * sums.wrong + 0.5 * sums.missed
    occurs = weight > 0
    pq = np.divide(sums.iou, weight, out=np.full(len(weight), np.nan), where=occurs)
    rq = np.divide(sums.matched, weight, out=np.full(len(weight), np.nan), where=occurs)
    sq = np.where(occurs, 0.0, np.nan)
    np.divide(sums.iou, sums.matched, out=sq, where=sums.matched > 0)
    return PanopticScores(pq, sq, rq, sums, things)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
