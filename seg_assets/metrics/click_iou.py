"""1-IoU: how well one click on an object is answered, object by object."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from seg_assets.errors import InputError


@dataclass(frozen=True)
class ClickIou:
    """Sums over clicked objects. Adding sums adds the objects they come from.

    A model answers a click with several masks. The chosen one is that of the highest predicted
    IoU; the best one is that of the highest true IoU (the oracle). The score is a mean over all
    objects of the data set, not over images: 1-IoU@Max and 1-IoU@Oracle of Semantic-SAM (Li et
    al. 2023), with one click per object.

    Attributes:
        objects: objects that were clicked.
        chosen: sum of the chosen masks' IoU.
        best: sum of the best masks' IoU.
    """

    objects: int
    chosen: float
    best: float

    @classmethod
    def empty(cls) -> "ClickIou":
        """Return the sums of no objects, the neutral element of addition."""
        return cls(0, 0.0, 0.0)

    @classmethod
    def of(cls, ious: np.ndarray, predicted: np.ndarray) -> "ClickIou":
        """Sum the objects of one image.

        Args:
            ious: (N, K) true IoU of the K masks that answer each of N clicks, 0..1.
            predicted: (N, K) the model's own scores of these masks; need not lie in 0..1.

        Raises:
            InputError: as `click_rows`.
        """
        rows = click_rows(ious, predicted)
        return cls(len(rows), float(rows[:, 0].sum()), float(rows[:, 1].sum()))

    @classmethod
    def from_list(cls, values: Sequence[float]) -> "ClickIou":
        """Rebuild sums from `to_list`.

        Raises:
            InputError: not three numbers.
        """
        if len(values) != 3:
            raise InputError(f"{len(values)} numbers are no sums of 1-IoU; give objects and 2 sums")
        return cls(int(values[0]), float(values[1]), float(values[2]))

    def to_list(self) -> list[float]:
        """Return objects, chosen and best, for storage."""
        return [float(value) for value in astuple(self)]

    def __add__(self, other: "ClickIou") -> "ClickIou":
        """Add the sums of other images."""
        return ClickIou(
            self.objects + other.objects, self.chosen + other.chosen, self.best + other.best
        )


def click_rows(ious: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """IoU of the chosen and of the best mask, object by object.

    Args:
        ious: (N, K) true IoU of the K masks that answer each of N clicks, 0..1.
        predicted: (N, K) the model's own scores of these masks.

    Returns:
        (N, 2) float64: the chosen mask's IoU (of equal scores the first mask's) and the best one.

    Raises:
        InputError: the shapes differ, there is no mask to choose from, or a number is not finite.
    """
    ious, predicted = np.asarray(ious, np.float64), np.asarray(predicted, np.float64)
    if ious.ndim != 2 or ious.shape != predicted.shape or ious.shape[1] == 0:
        raise InputError(
            f"IoUs of shape {ious.shape} and scores of shape {predicted.shape} do not belong "
            "together; give (objects, masks) for both, at least one mask each"
        )
    if not np.isfinite(predicted).all() or not ((ious >= 0) & (ious <= 1)).all():
        raise InputError("IoUs must lie in 0..1 and scores must be finite; one is not")
    chosen = np.take_along_axis(ious, predicted.argmax(1)[:, None], 1)[:, 0]
    return np.stack([chosen, ious.max(1)], 1)


@dataclass(frozen=True)
class ClickScores:
    """Means over objects, 0..1; None without any.

    Attributes:
        chosen: 1-IoU@Max.
        best: 1-IoU@Oracle.
        objects: how many.
    """

    chosen: float | None
    best: float | None
    objects: int


def click_scores(sums: ClickIou) -> ClickScores:
    """Divide once, over all objects."""
    if sums.objects == 0:
        return ClickScores(None, None, 0)
    return ClickScores(sums.chosen / sums.objects, sums.best / sums.objects, sums.objects)
