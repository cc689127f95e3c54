"""Confusion matrices: counts of (truth, prediction) pairs that can be added up over images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.errors import InputError

# np.bincount works on 64-bit copies, so maps are counted in bands of about this many pixels.
BAND_PIXELS = 1 << 20


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
        of_image = f" of {where}" if where else ""
        table.check(prediction, f"the prediction{of_image}")
        table.check(truth, f"the ground truth{of_image}")
        if prediction.shape != truth.shape:
            raise InputError(
                f"the prediction{of_image} is {_size(prediction)} but the ground truth is "
                f"{_size(truth)} (width x height); compare maps of the same image at the same size"
            )
        classes = len(table)
        # Both kinds of 255 get the slot after the last class; one number then names the pair.
        slot = np.arange(256, dtype=np.int64)
        slot[IGNORE_ID] = classes
        side = classes + 1
        counts = np.zeros(side * side, np.int64)
        height, width = truth.shape
        rows = max(1, BAND_PIXELS // max(1, width))
        for top in range(0, height, rows):
            band = slice(top, top + rows)
            pairs = slot[truth[band]] * side + slot[prediction[band]]
            counts += np.bincount(pairs.ravel(), minlength=side * side)
        return cls(table, counts.reshape(side, side)[:classes])

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
    of_image = f" of {where}" if where else ""
    return ConfusionMatrix.of(
        prediction_map.apply(prediction, f"the prediction{of_image}"),
        truth_map.apply(truth, f"the ground truth{of_image}"),
        truth_map.target,
        where,
    )


def _size(label_map: np.ndarray) -> str:
    height, width = label_map.shape
    return f"{width}x{height}"
