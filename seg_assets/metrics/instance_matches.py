"""Which predicted objects are right, image by image, by the rule of COCO's evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seg_assets.errors import InputError
from seg_assets.metrics.greedy_matching import match_greedily
from seg_assets.metrics.run_masks import CocoRle, RunMasks

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREA_RANGES = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""In pixels, both ends included."""
MAX_DETECTIONS = (1, 10, 100)
"""Of the highest scores per image and class."""


@dataclass(frozen=True)
class PredictedObject:
    """One predicted object: its class, 0 to classes - 1, a score, and its mask."""

    class_id: int
    score: float
    rle: CocoRle


@dataclass(frozen=True)
class TrueObject:
    """One true object.

    Attributes:
        class_id: 0 to classes - 1.
        rle: its mask.
        crowd: a group that is not cut into objects: matches any number, counts for nothing.
        area: in pixels, for the area ranges; by default the mask's pixels. COCO's files bring
            their own, that of the outline.
    """

    class_id: int
    rle: CocoRle
    crowd: bool = False
    area: float | None = None


@dataclass(frozen=True, eq=False)
class InstanceMatches:
    """Predicted objects and whether they are right. Adding matches puts them side by side.

    The order of images decides between equal scores, as in COCO's evaluation, which goes by
    ascending image id.

    Attributes:
        class_ids: (N,) int32, the predicted classes.
        scores: (N,) float64.
        ranks: (N,) int32, 0 for the highest score of its image and class.
        outcomes: (N, 4, 10) uint8, by area range and IoU threshold: wrong 0, right 1, or 2 for
            what counts for nothing.
        objects: (C, 4) int64, true objects of each class that count in each area range.
    """

    class_ids: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray
    outcomes: np.ndarray
    objects: np.ndarray

    @classmethod
    def empty(cls, classes: int) -> "InstanceMatches":
        """Return the matches of no images, the neutral element of addition."""
        return cls(
            np.zeros(0, np.int32),
            np.zeros(0),
            np.zeros(0, np.int32),
            np.zeros((0, len(AREA_RANGES), len(IOU_THRESHOLDS)), np.uint8),
            np.zeros((classes, len(AREA_RANGES)), np.int64),
        )

    @classmethod
    def of(
        cls,
        predicted: Sequence[PredictedObject],
        true: Sequence[TrueObject],
        *,
        classes: int,
        class_agnostic: bool = False,
        where: str = "",
    ) -> "InstanceMatches":
        """Match the objects of one image.

        Going down by score, each predicted object takes the true one of its class with the
        highest IoU that is still free and reaches the threshold; a crowd is never used up, and is
        only taken if nothing else fits. Objects outside the area range, and predictions matched
        to them or to crowds, count for nothing. The IoU with a crowd is the share of the
        prediction that lies on it. Of each class only the 100 highest scores are looked at.

        Args:
            predicted: objects of one image, masks of one size.
            true: likewise, of the same size.
            classes: number of classes.
            class_agnostic: treat all objects as of one class, 0; give 1 for `classes`.
            where: the image, for messages.

        Raises:
            InputError: masks are damaged or differ in size, a class lies outside 0..classes - 1, or
                a score is not finite.
        """
        of_image = f" of {where}" if where else ""
        if class_agnostic:  # equal scores then stand in the order of their classes, as COCO's do
            predicted = sorted(predicted, key=lambda item: item.class_id)
            true = sorted(true, key=lambda item: item.class_id)
        scores = np.array([item.score for item in predicted], np.float64)
        if not np.isfinite(scores).all():
            raise InputError(f"a predicted object{of_image} has no finite score; drop or mend it")
        limit = None if class_agnostic else classes
        found_classes = _class_ids(predicted, limit, f"predicted object{of_image}")
        true_classes = _class_ids(true, limit, f"true object{of_image}")
        order = np.argsort(-scores, kind="stable")
        ranks = _rank(found_classes[order])
        kept = ranks < MAX_DETECTIONS[-1]
        order, ranks = order[kept], ranks[kept]
        found_classes = found_classes[order]

        found = RunMasks.read([predicted[n].rle for n in order], f"the predicted masks{of_image}")
        truth = RunMasks.read([item.rle for item in true], f"the true masks{of_image}")
        crowd = np.array([item.crowd for item in true], np.bool_)
        areas = np.array(
            [n if o.area is None else o.area for o, n in zip(true, truth.areas, strict=True)],
            np.float64,
        )
        shared = found.overlaps(truth, found_classes, true_classes)
        union = found.areas[:, None] + np.where(crowd[None], 0, truth.areas[None] - shared)
        ious = np.where(shared > 0, shared / np.maximum(union, 1), 0.0)
        ranges = np.array(list(AREA_RANGES.values()))
        outcomes = match_greedily(
            *(ious, found_classes, found.areas.astype(np.float64)),
            *(true_classes, areas, crowd, ranges, IOU_THRESHOLDS),
        )
        low, high = ranges.T
        counts = ~crowd[:, None] & (areas[:, None] >= low) & (areas[:, None] <= high)
        objects = np.zeros((classes, len(ranges)), np.int64)
        np.add.at(objects, true_classes, counts.astype(np.int64))
        return cls(
            found_classes.astype(np.int32), scores[order], ranks.astype(np.int32), outcomes, objects
        )

    @classmethod
    def join(cls, parts: Iterable["InstanceMatches"], classes: int) -> "InstanceMatches":
        """Add up many at once, which is faster than one by one.

        Raises:
            InputError: the parts are not all of so many classes.
        """
        parts = [cls.empty(classes), *parts]
        for part in parts:
            if len(part.objects) != classes:
                raise InputError(
                    f"matches of {len(part.objects)} and of {classes} classes cannot be added; "
                    "compare all images in one table"
                )
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("class_ids", "scores", "ranks", "outcomes")
            ),
            objects=np.sum([part.objects for part in parts], axis=0),
        )

    def __add__(self, other: "InstanceMatches") -> "InstanceMatches":
        """Add the matches of later images.

        Raises:
            InputError: the numbers of classes differ.
        """
        return InstanceMatches.join([self, other], len(self.objects))

    def to_row(self) -> dict[str, Any]:
        """Return plain values for storage: three lists, the outcomes as bytes, and the objects."""
        return {
            "class_ids": self.class_ids.tolist(),
            "scores": self.scores.tolist(),
            "ranks": self.ranks.tolist(),
            "outcomes": self.outcomes.tobytes(),
            "objects": self.objects.ravel().tolist(),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "InstanceMatches":
        """Rebuild matches from `to_row`.

        Raises:
            InputError: the columns do not fit one another.
        """
        sizes, steps = len(AREA_RANGES), len(IOU_THRESHOLDS)
        outcomes = np.frombuffer(row["outcomes"], np.uint8)
        count = len(row["scores"])
        lengths = (len(row["class_ids"]), len(row["ranks"]), outcomes.size / (sizes * steps))
        if lengths != (count, count, count) or len(row["objects"]) % sizes:
            raise InputError(
                f"a stored image has {count} scores, but classes, ranks and outcomes for {lengths} "
                "predicted objects; evaluate its shard anew"
            )
        return cls(
            np.asarray(row["class_ids"], np.int32),
            np.asarray(row["scores"], np.float64),
            np.asarray(row["ranks"], np.int32),
            outcomes.reshape(count, sizes, steps),
            np.asarray(row["objects"], np.int64).reshape(-1, sizes),
        )


def _class_ids(
    objects: Sequence[PredictedObject] | Sequence[TrueObject],
    classes: int | None,
    subject: str,
) -> np.ndarray:
    """(N,) int64; all 0 without a number of classes."""
    if classes is None:
        return np.zeros(len(objects), np.int64)
    ids = np.array([item.class_id for item in objects], np.int64)
    if len(ids) and not (ids.min() >= 0 and ids.max() < classes):
        stray = next(i for i in ids.tolist() if not 0 <= i < classes)
        raise InputError(f"a {subject} has class {stray}, outside 0..{classes - 1}")
    return ids


def _rank(class_ids: np.ndarray) -> np.ndarray:
    """Position of each object among those of its class, (N,) int64."""
    order = np.argsort(class_ids, kind="stable")
    grouped = class_ids[order]
    begins = np.searchsorted(grouped, grouped)
    ranks = np.empty(len(class_ids), np.int64)
    ranks[order] = np.arange(len(class_ids)) - begins
    return ranks
