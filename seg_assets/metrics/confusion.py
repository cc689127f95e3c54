"""Confusion matrices: counts of (truth, prediction) pairs that can be added up over images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.errors import InputError
from seg_assets.metrics.pair_counts import count_byte_pairs


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Pixels by true and predicted class. Adding matrices adds the images they come from.

    Pixels without a true label (255) are not counted, whatever is predicted there.

    Attributes:
        table: The class table of truth and prediction, with C classes.
        counts: (C, C + 1) int64, read-only. Row: true class. Column: predicted class, the last one
            for pixels where nothing was predicted (255).
    """

    table: ClassTable
    counts: np.ndarray

    def __post_init__(self) -> None:
        """Check the counts and take a read-only copy of them."""
        expected = (len(self.table), len(self.table) + 1)
        if self.counts.shape != expected or self.counts.dtype != np.int64:
            raise InputError(
                f"confusion counts for {self.table.name!r} have shape {self.counts.shape} and type "
                f"{self.counts.dtype}; they must be {expected} of int64"
            )
        if (self.counts < 0).any():
            raise InputError(f"confusion counts for {self.table.name!r} hold negative numbers")
        counts = self.counts.copy()
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)

    @classmethod
    def empty(cls, table: ClassTable) -> "ConfusionMatrix":
        """Return the matrix of no pixels, the neutral element of addition."""
        return cls(table, np.zeros((len(table), len(table) + 1), np.int64))

    @classmethod
    def of(
        cls, prediction: np.ndarray, truth: np.ndarray, table: ClassTable, where: str = ""
    ) -> "ConfusionMatrix":
        """Count one image.

        Args:
            prediction: (H, W) integers, ids of ``table``, 255 where nothing is predicted.
            truth: (H, W) integers, ids of ``table``, 255 where the truth is not known.
            table: The class table of both maps; ``compare`` takes maps in two different tables.
            where: The image's id, for error messages.

        Returns:
            The counts of this image.

        Raises:
            InputError: The maps differ in size or are not 2-D arrays of integers.
            UnknownClassError: Ids that are not in ``table``; the message names them.
        """
        pairs = _count(prediction, truth, table, table, where)
        return cls(table, np.hstack([pairs[: len(table), : len(table)], pairs[: len(table), -1:]]))

    @classmethod
    def from_list(cls, table: ClassTable, values: Sequence[int]) -> "ConfusionMatrix":
        """Rebuild a matrix from ``to_list``.

        Raises:
            InputError: Not C * (C + 1) counts.
        """
        classes = len(table)
        counts = np.asarray(values, np.int64)
        if counts.shape != (classes * (classes + 1),):
            raise InputError(
                f"{counts.size} confusion counts do not fit class table {table.name!r}, which "
                f"takes {classes} x {classes + 1}; name the table they were counted with"
            )
        return cls(table, counts.reshape(classes, classes + 1))

    def to_list(self) -> list[int]:
        """Return the C * (C + 1) counts row by row, for storage."""
        return self.counts.ravel().tolist()

    def __add__(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        """Add the counts of other images.

        Raises:
            InputError: ``other`` is in another class table.
        """
        if self.table != other.table:
            raise InputError(
                f"confusion counts in {self.table.name!r} and in {other.table.name!r} cannot be "
                f"added; compare all images in one class table"
            )
        return ConfusionMatrix(self.table, self.counts + other.counts)

    @property
    def pixels(self) -> int:
        """Number of counted pixels: those with a true label."""
        return int(self.counts.sum())

    @property
    def correct(self) -> np.ndarray:
        """(C,) int64: pixels whose predicted class is the true one."""
        return self.counts.diagonal()

    @property
    def truth_area(self) -> np.ndarray:
        """(C,) int64: counted pixels by true class."""
        return self.counts.sum(axis=1)

    @property
    def predicted_area(self) -> np.ndarray:
        """(C,) int64: counted pixels by predicted class."""
        return self.counts[:, : len(self.table)].sum(axis=0)


def compare(
    prediction: np.ndarray,
    truth: np.ndarray,
    *,
    prediction_map: ClassMap,
    truth_map: ClassMap,
    where: str = "",
) -> ConfusionMatrix:
    """Count one image whose prediction and ground truth use different class tables.

    Args:
        prediction: (H, W) integers, ids of ``prediction_map.source``, 255 = nothing predicted.
        truth: (H, W) integers, ids of ``truth_map.source``, 255 = truth not known.
        prediction_map: From the prediction's table to the one in which the two meet. Predicted
            classes without a counterpart there count as nothing predicted.
        truth_map: From the truth's table to the same one. True classes without a counterpart
            there are not counted.
        where: The image's id, for error messages.

    Returns:
        The counts of this image, in the table in which the two meet.

    Raises:
        InputError: The maps end in different tables, or the two label maps differ in size.
        UnknownClassError: Ids that are not in the map's source table; the message names them.
    """
    if prediction_map.target != truth_map.target:
        raise InputError(
            f"the prediction is mapped to {prediction_map.target.name!r} but the ground truth to "
            f"{truth_map.target.name!r}; map both to one class table"
        )
    pairs = _count(prediction, truth, prediction_map.source, truth_map.source, where)
    # the few pairs that occur are mapped, not the pixels
    true, predicted = np.nonzero(pairs)
    target = truth_map.target
    counts = np.zeros((IGNORE_ID + 1, IGNORE_ID + 1), np.int64)
    np.add.at(counts, (truth_map.lut[true], prediction_map.lut[predicted]), pairs[true, predicted])
    counts = counts[: len(target)]
    return ConfusionMatrix(target, np.hstack([counts[:, : len(target)], counts[:, -1:]]))


def _count(
    prediction: np.ndarray,
    truth: np.ndarray,
    prediction_table: ClassTable,
    truth_table: ClassTable,
    where: str,
) -> np.ndarray:
    """Count pairs of ids, (256, 256) int64: row truth, column prediction."""
    of_image = f" of {where}" if where else ""

    def check() -> None:
        prediction_table.check(prediction, f"the prediction{of_image}")
        truth_table.check(truth, f"the ground truth{of_image}")

    if prediction.shape != truth.shape or prediction.ndim != 2:
        check()
        raise InputError(
            f"the prediction{of_image} is {_size(prediction)} but the ground truth is "
            f"{_size(truth)} (width x height); compare maps of the same image at the same size"
        )
    if prediction.dtype != np.uint8 or truth.dtype != np.uint8:
        check()
    pairs = count_byte_pairs(
        *(labels.astype(np.uint8, copy=False) for labels in (truth, prediction))
    )
    # looking for strange ids in the counts saves looking at every pixel
    if pairs[len(truth_table) : -1].any() or pairs[:, len(prediction_table) : -1].any():
        check()
    return pairs


def _size(label_map: np.ndarray) -> str:
    height, width = label_map.shape
    return f"{width}x{height}"
