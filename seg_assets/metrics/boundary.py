"""How well predicted boundaries follow the true ones, class by class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypedDict

import numpy as np

from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.errors import InputError
from seg_assets.metrics.boundary_maps import UNKNOWN, boundary_bands, contours, near_pixels
from seg_assets.metrics.pair_counts import count_byte_pairs

BAND_RATIO = 0.02
"""Width of the band for boundary IoU as a share of the image's diagonal (Cheng et al. 2021)."""

TOLERANCE_RATIO = 0.0075
"""Distance up to which contours agree, as a share of the diagonal (Csurka et al. 2013)."""


@dataclass(frozen=True, eq=False)
class BoundarySums:
    """Boundary pixels by class. Adding sums adds the images they come from.

    Attributes:
        band_shared: (C,) int64, pixels in the class's band in truth and prediction.
        band_predicted: (C,) int64, pixels in the class's predicted band.
        band_true: (C,) int64, pixels in the class's true band.
        near_predicted: (C,) int64, predicted contour pixels near a true one of the class.
        contour_predicted: (C,) int64, predicted contour pixels.
        near_true: (C,) int64, true contour pixels near a predicted one of the class.
        contour_true: (C,) int64, true contour pixels.
        image_f: (C,) float64, boundary F summed over the images.
        images: (C,) int64, images in which the class has a contour, true or predicted.
    """

    band_shared: np.ndarray
    band_predicted: np.ndarray
    band_true: np.ndarray
    near_predicted: np.ndarray
    contour_predicted: np.ndarray
    near_true: np.ndarray
    contour_true: np.ndarray
    image_f: np.ndarray
    images: np.ndarray

    @classmethod
    def empty(cls, classes: int) -> "BoundarySums":
        """Return the sums of no images, the neutral element of addition."""
        return cls.from_list(classes, [0.0] * (len(fields(cls)) * classes))

    @classmethod
    def of(
        cls,
        prediction: np.ndarray,
        truth: np.ndarray,
        table: ClassTable,
        *,
        band_ratio: float = BAND_RATIO,
        tolerance_ratio: float = TOLERANCE_RATIO,
        where: str = "",
    ) -> "BoundarySums":
        """Compare the boundaries of one image.

        Where the truth is not known the prediction does not count, and no boundary lies between a
        known and an unknown pixel. Where nothing is predicted, though the truth is known, is
        another label than any class.

        Args:
            prediction: (H, W) integers, ids of `table`, 255 where nothing is predicted.
            truth: (H, W) integers, ids of `table`, 255 where the truth is not known.
            table: the class table of both maps.
            band_ratio: width of the bands as a share of the diagonal; the width is rounded, and at
                least 1. Only sums of one ratio mean something together.
            tolerance_ratio: distance up to which contours agree, as a share of the diagonal.
            where: the image, for messages.

        Raises:
            InputError: the maps differ in size or are not 2-D arrays of integers.
            UnknownClassError: ids that are not in `table`.
        """
        of_image = f" of {where}" if where else ""
        table.check(prediction, f"the prediction{of_image}")
        table.check(truth, f"the ground truth{of_image}")
        if prediction.shape != truth.shape:
            raise InputError(
                f"the prediction{of_image} has shape {prediction.shape} but the ground truth "
                f"{truth.shape}; compare maps of the same image at the same size"
            )
        classes = len(table)
        found, true = prediction.astype(np.int16), truth.astype(np.int16)
        found[truth == IGNORE_ID] = UNKNOWN  # what is left at 255 is no class, but a label
        true[truth == IGNORE_ID] = UNKNOWN
        diagonal = math.hypot(*truth.shape)
        width = max(1, round(band_ratio * diagonal))

        bands = count_byte_pairs(
            np.where(boundary_bands(true, width), true, IGNORE_ID).astype(np.uint8),
            np.where(boundary_bands(found, width), found, IGNORE_ID).astype(np.uint8),
        )
        found_lines, true_lines = contours(found), contours(true)
        found_lines[found_lines == IGNORE_ID] = UNKNOWN
        radius = tolerance_ratio * diagonal
        near_found, all_found = near_pixels(found_lines, true_lines, classes, radius)
        near_true, all_true = near_pixels(true_lines, found_lines, classes, radius)
        return cls(
            bands.diagonal()[:classes],
            bands.sum(0)[:classes],
            bands.sum(1)[:classes],
            *(near_found, all_found, near_true, all_true),
            image_f=_f_measure(
                near_found / np.maximum(all_found, 1), near_true / np.maximum(all_true, 1)
            ),
            images=((all_found + all_true) > 0).astype(np.int64),
        )

    @classmethod
    def from_list(cls, classes: int, values: Sequence[float]) -> "BoundarySums":
        """Rebuild sums from `to_list`.

        Raises:
            InputError: another number of values.
        """
        names = [item.name for item in fields(cls)]
        if len(values) != len(names) * classes:
            raise InputError(
                f"{len(values)} numbers are no boundary sums of {classes} classes; "
                f"{len(names) * classes} are wanted"
            )
        rows = np.asarray(values, np.float64).reshape(len(names), classes)
        return cls(
            **{
                name: row.copy() if name == "image_f" else row.astype(np.int64)
                for name, row in zip(names, rows, strict=True)
            }
        )

    def to_list(self) -> list[float]:
        """Return the sums attribute by attribute, C numbers each, for storage."""
        return np.concatenate([getattr(self, f.name) for f in fields(self)]).tolist()

    def __add__(self, other: "BoundarySums") -> "BoundarySums":
        """Add the sums of other images.

        Raises:
            InputError: the numbers of classes differ.
        """
        if len(self.images) != len(other.images):
            raise InputError(
                f"boundary sums of {len(self.images)} and of {len(other.images)} classes cannot "
                "be added; compare all images in one table"
            )
        return BoundarySums(
            *(getattr(self, item.name) + getattr(other, item.name) for item in fields(self))
        )


class ClassBoundary(TypedDict):
    """The scores of one class; None where not defined."""

    id: int
    iou: float | None
    f: float | None
    image_f: float | None


@dataclass(frozen=True, eq=False)
class BoundaryScores:
    """Scores over all the images of some sums, 0..1, nan where not defined.

    Attributes:
        iou: (C,) float64, boundary IoU: shared / (predicted + true - shared) of the bands' pixels.
        precision: (C,) float64, share of the predicted contour near the true one.
        recall: (C,) float64, share of the true contour near the predicted one.
        f: (C,) float64, 2 precision recall / (precision + recall), over all images at once; 0 where
            only one of truth and prediction has a contour of the class.
        image_f: (C,) float64, mean over the images with a contour of the class of the image's own
            F, the number of the literature.
    """

    iou: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f: np.ndarray
    image_f: np.ndarray

    def means(self) -> dict[str, float | None]:
        """Means of iou, f and image_f over the classes where they are defined."""
        return {name: _mean(getattr(self, name)) for name in ("iou", "f", "image_f")}

    def rows(self) -> list[ClassBoundary]:
        """Return one row per class, with None for nan."""
        return [
            ClassBoundary(
                id=n,
                iou=_mean(self.iou[n : n + 1]),
                f=_mean(self.f[n : n + 1]),
                image_f=_mean(self.image_f[n : n + 1]),
            )
            for n in range(len(self.iou))
        ]


def boundary_scores(sums: BoundarySums) -> BoundaryScores:
    """Divide once, over all images."""
    precision = _divide(sums.near_predicted, sums.contour_predicted)
    recall = _divide(sums.near_true, sums.contour_true)
    f = _f_measure(np.nan_to_num(precision), np.nan_to_num(recall))
    return BoundaryScores(
        iou=_divide(sums.band_shared, sums.band_predicted + sums.band_true - sums.band_shared),
        precision=precision,
        recall=recall,
        f=np.where(sums.images > 0, f, math.nan),
        image_f=_divide(sums.image_f, sums.images),
    )


def _f_measure(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros(both.shape), where=both > 0)


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, math.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float | None:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None
