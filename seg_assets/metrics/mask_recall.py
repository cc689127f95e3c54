"""How much of the true objects a set of masks can reach, over a data set and by object size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypedDict

import numpy as np

from seg_assets.errors import InputError
from seg_assets.metrics.best_mask import ObjectMatch
from seg_assets.metrics.run_masks import CocoRle, RunMasks

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoUs from which on an object counts as found; COCO's ten."""

SIZES = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
"""Object sizes by area in pixels, both ends included, as in COCO's evaluation."""


def match_masks(
    objects: Sequence[CocoRle], masks: Sequence[CocoRle], where: str = ""
) -> list[ObjectMatch]:
    """Find the best mask for each true object; a mask may serve several, and none is punished.

    Args:
        objects: run lengths of the true objects of one image; may overlap. Leave crowds out.
        masks: run lengths of masks of the same image; may overlap.
        where: the image, for messages.

    Returns:
        One match per object, in their order and with their positions as ids; of masks that fit
        equally the first one counts.

    Raises:
        InputError: sizes differ, or run lengths are damaged.
    """
    of_image = f" of {where}" if where else ""
    true = RunMasks.read(objects, f"the true objects{of_image}")
    found = RunMasks.read(masks, f"the masks{of_image}")
    areas = true.areas.tolist()
    if len(found) == 0:
        return [ObjectMatch(n, area, 0.0, None) for n, area in enumerate(areas)]
    ious = true.ious(found)
    chosen = ious.argmax(1).tolist()
    best = ious.max(1).tolist()
    return [
        ObjectMatch(n, area, iou, mask if iou > 0 else None)
        for n, (area, iou, mask) in enumerate(zip(areas, best, chosen, strict=True))
    ]


@dataclass(frozen=True, eq=False)
class MaskRecall:
    """Sums over true objects, by size. Adding sums adds the images they come from.

    Attributes:
        objects: (4,) int64, objects of each of `SIZES`.
        iou: (4,) float64, sum of their best IoUs.
        found: (4, 10) int64, how many have a mask of at least each of `THRESHOLDS`.
    """

    objects: np.ndarray
    iou: np.ndarray
    found: np.ndarray

    @classmethod
    def empty(cls) -> "MaskRecall":
        """Return the sums of no objects, the neutral element of addition."""
        sizes, steps = len(SIZES), len(THRESHOLDS)
        return cls(np.zeros(sizes, np.int64), np.zeros(sizes), np.zeros((sizes, steps), np.int64))

    @classmethod
    def of(
        cls, objects: Sequence[CocoRle], masks: Sequence[CocoRle], where: str = ""
    ) -> "MaskRecall":
        """Sum one image; see `match_masks`.

        Raises:
            InputError: sizes differ, or run lengths are damaged.
        """
        return cls.of_matches(match_masks(objects, masks, where))

    @classmethod
    def of_matches(cls, matches: Sequence[ObjectMatch]) -> "MaskRecall":
        """Sum objects whose best mask is known already."""
        areas = np.array([match.area for match in matches])
        ious = np.array([match.iou for match in matches], np.float64)
        chosen = np.stack([(areas >= low) & (areas <= high) for low, high in SIZES.values()])
        reached = ious[:, None] >= THRESHOLDS
        return cls(
            chosen.sum(1), np.where(chosen, ious, 0).sum(1), chosen.astype(np.int64) @ reached
        )

    @classmethod
    def from_list(cls, values: Sequence[float]) -> "MaskRecall":
        """Rebuild sums from `to_list`.

        Raises:
            InputError: another number of values.
        """
        rows, columns = len(SIZES), 2 + len(THRESHOLDS)
        if len(values) != rows * columns:
            raise InputError(
                f"{len(values)} numbers are no sums of mask recall; {rows * columns} are wanted"
            )
        table = np.asarray(values, np.float64).reshape(rows, columns)
        return cls(table[:, 0].astype(np.int64), table[:, 1].copy(), table[:, 2:].astype(np.int64))

    def to_list(self) -> list[float]:
        """Return objects, IoU and found of each size, size by size, for storage."""
        return np.column_stack([self.objects, self.iou, self.found]).ravel().tolist()

    def __add__(self, other: "MaskRecall") -> "MaskRecall":
        """Add the sums of other images."""
        return MaskRecall(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class RecallScores(TypedDict):
    """Scores of one size of objects, 0..1; None without such objects."""

    size: str
    objects: int
    mean_iou: float | None
    recall: float | None
    recall_50: float | None
    recall_75: float | None


def recall_scores(sums: MaskRecall) -> list[RecallScores]:
    """Divide once, over all objects; one row for each of `SIZES`, that of all objects first.

    `mean_iou` is the mean of the objects' best IoUs, `recall` the average recall over `THRESHOLDS`
    (COCO's AR, but without a limit to the number of masks and without one-to-one matching),
    `recall_50` and `recall_75` the recall at 0.5 and 0.75.
    """
    rows = []
    for n, size in enumerate(SIZES):
        count = int(sums.objects[n])
        found = sums.found[n]
        rows.append(
            RecallScores(
                size=size,
                objects=count,
                mean_iou=_share(float(sums.iou[n]), count),
                recall=_share(float(found.mean()), count),
                recall_50=_share(float(found[0]), count),
                recall_75=_share(float(found[5]), count),
            )
        )
    return rows


def recall_curve(sums: MaskRecall) -> np.ndarray:
    """Recall of all objects at each of `THRESHOLDS`, (10,) float64; nan without objects."""
    count = int(sums.objects[0])
    return sums.found[0] / count if count else np.full(len(THRESHOLDS), math.nan)


def _share(part: float, count: int) -> float | None:
    return part / count if count else None
