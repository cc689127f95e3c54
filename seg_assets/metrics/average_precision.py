"""Average precision and average recall of predicted objects, as COCO's evaluation counts them."""

import math
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numba import njit

from seg_assets.metrics.greedy_matching import IGNORED, RIGHT
from seg_assets.metrics.instance_matches import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    MAX_DETECTIONS,
    InstanceMatches,
)

RECALLS = np.linspace(0, 1, 101)
"""Where the curve of precision over recall is read."""


class ClassPrecision(TypedDict):
    """The scores of one class; None where the truth does not have it."""

    id: int
    ap: float | None
    ap_50: float | None
    ap_75: float | None
    recall: float | None
    objects: int


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """Scores over all images of some matches, 0..1, nan for classes without true objects.

    Attributes:
        precision: (C, 4, 10) float64, average precision by class, area range and IoU threshold, of
            the 100 highest scores per image and class.
        recall: (C, 4, 10, 3) float64, highest recall by class, area range, IoU threshold, and
            number of highest scores (1, 10, 100).
        objects: (C, 4) int64, true objects.
    """

    precision: np.ndarray
    recall: np.ndarray
    objects: np.ndarray

    def summary(self) -> dict[str, float | None]:
        """COCO's twelve numbers, means over the classes with true objects; None without any.

        AP and AR are means over the ten IoU thresholds; AP_50 and AP_75 are at one. AR_1, AR_10
        and AR_100 look at so many predictions per image and class.
        """
        numbers = {"AP": self.precision[:, 0]}
        numbers |= {"AP_50": self.precision[:, 0, 0], "AP_75": self.precision[:, 0, 5]}
        sizes = list(enumerate(AREA_RANGES))[1:]
        numbers |= {f"AP_{size}": self.precision[:, n] for n, size in sizes}
        numbers |= {f"AR_{m}": self.recall[:, 0, :, n] for n, m in enumerate(MAX_DETECTIONS)}
        numbers |= {f"AR_{size}": self.recall[:, n, :, -1] for n, size in sizes}
        return {name: _mean(values) for name, values in numbers.items()}

    def rows(self) -> list[ClassPrecision]:
        """Return one row per class, with None for nan; `recall` is AR_100."""
        return [
            ClassPrecision(
                id=n,
                ap=_mean(self.precision[n, 0]),
                ap_50=_mean(self.precision[n, 0, 0]),
                ap_75=_mean(self.precision[n, 0, 5]),
                recall=_mean(self.recall[n, 0, :, -1]),
                objects=int(self.objects[n, 0]),
            )
            for n in range(len(self.objects))
        ]


def average_precision(matches: InstanceMatches) -> AveragePrecision:
    """Compute precision and recall over all images.

    The predictions of a class are sorted by score over all images; of equal scores, the one of the
    earlier image comes first. Precision at a recall is the highest one at this or a higher recall,
    and the average precision is its mean at 101 recalls from 0 to 1.
    """
    classes, sizes = matches.objects.shape
    precision = np.full((classes, sizes, len(IOU_THRESHOLDS)), math.nan)
    recall = np.full((*precision.shape, len(MAX_DETECTIONS)), math.nan)
    by_score = np.argsort(-matches.scores, kind="stable")
    order = by_score[np.argsort(matches.class_ids[by_score], kind="stable")]
    begins = np.searchsorted(matches.class_ids[order], np.arange(classes + 1))
    _average(
        *(order, begins, matches.outcomes == RIGHT, matches.outcomes == IGNORED),
        *(matches.ranks, matches.objects, RECALLS, np.array(MAX_DETECTIONS), precision, recall),
    )
    return AveragePrecision(precision, recall, matches.objects)


@njit(cache=True, nogil=True)
def _average(order, begins, right, ignored, ranks, objects, recalls, most, precision, recall):
    """Fill `precision` and `recall` where a class has true objects."""
    longest = 0
    for c in range(len(objects)):
        longest = max(longest, begins[c + 1] - begins[c])
    precisions, reached = np.empty(longest), np.empty(longest)
    found = np.zeros(len(most), np.int64)
    for c in range(precision.shape[0]):
        for a in range(precision.shape[1]):
            if objects[c, a] == 0:
                continue
            for i in range(precision.shape[2]):
                found[:] = 0
                hits = count = 0
                for place in range(begins[c], begins[c + 1]):
                    n = order[place]
                    if ignored[n, a, i]:
                        continue
                    if right[n, a, i]:
                        hits += 1
                        for m in range(len(most)):
                            found[m] += ranks[n] < most[m]
                    count += 1
                    # the tiny number is numpy.spacing(1), which COCO's evaluation adds
                    precisions[count - 1] = hits / (count + 2.220446049250313e-16)
                    reached[count - 1] = hits / objects[c, a]
                precision[c, a, i] = _area_below(precisions[:count], reached[:count], recalls)
                for m in range(len(most)):
                    recall[c, a, i, m] = found[m] / objects[c, a]


@njit(cache=True, nogil=True)
def _area_below(precisions, reached, recalls):
    """Mean over `recalls` of the highest precision at that or a higher recall; overwrites."""
    for place in range(len(precisions) - 2, -1, -1):
        precisions[place] = max(precisions[place], precisions[place + 1])
    total, place = 0.0, 0
    for wanted in recalls:
        while place < len(reached) and reached[place] < wanted:
            place += 1
        if place == len(reached):
            break
        total += precisions[place]
    return total / len(recalls)


def _mean(values: np.ndarray) -> float | None:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None
