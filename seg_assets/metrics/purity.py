"""How pure regions are, and the best labelling that is possible with them."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import NamedTuple

import numpy as np

from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.errors import InputError
from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.metrics.pair_counts import count_id_pairs

NO_REGION = 0
"""Id of pixels that belong to no region."""


@dataclass(frozen=True)
class RegionPurity:
    """Sums over the regions of some images. Adding sums adds the images they come from.

    Only pixels with a true label count. A true segment is what one class covers of one image. A
    region without a labelled pixel is left out.

    Attributes:
        pixels: labelled pixels.
        covered: of these, pixels in regions.
        pure: of these, pixels of their region's majority class.
        leaked: over all pairs of a region and a true segment that meet, the smaller of what they
            share and what the region has outside the segment.
        regions: regions.
        purity: over all regions, the share of the region's pixels that its majority class has.
        segments: true segments.
    """

    pixels: int
    covered: int
    pure: int
    leaked: int
    regions: int
    purity: float
    segments: int

    @classmethod
    def empty(cls) -> "RegionPurity":
        """Return the sums of no images, the neutral element of addition."""
        return cls(0, 0, 0, 0, 0, 0.0, 0)

    @classmethod
    def of(
        cls, regions: np.ndarray, truth: np.ndarray, table: ClassTable, where: str = ""
    ) -> "RegionPurity":
        """Sum one image.

        Args:
            regions: (H, W) integers, region ids from 1 on, 0 where there is no region.
            truth: (H, W) integers, ids of `table`, 255 where the truth is not known.
            table: the class table of the truth.
            where: the image, for messages.

        Raises:
            InputError: the maps differ in size, or are no maps of integers.
            UnknownClassError: true ids that are not in the table.
        """
        found = _majorities(regions, truth, table, where)
        inside = found.region != NO_REGION
        shared = found.pixels[inside]
        return cls(
            pixels=int(found.pixels.sum()),
            covered=int(shared.sum()),
            pure=int(found.most.sum()),
            leaked=int(np.minimum(shared, found.areas[found.row] - shared).sum()),
            regions=len(found.areas),
            purity=float((found.most / found.areas).sum()),
            segments=len(np.unique(found.label)),
        )

    @classmethod
    def from_list(cls, values: Sequence[float]) -> "RegionPurity":
        """Rebuild sums from `to_list`.

        Raises:
            InputError: another number of values.
        """
        if len(values) != len(fields(cls)):
            raise InputError(
                f"{len(values)} numbers are no sums of region purity; {len(fields(cls))} are wanted"
            )
        pixels, covered, pure, leaked, regions, purity, segments = values
        return cls(
            *(int(pixels), int(covered), int(pure), int(leaked), int(regions)),
            purity=float(purity),
            segments=int(segments),
        )

    def to_list(self) -> list[float]:
        """Return the sums in the order of the attributes, for storage."""
        return [float(value) for value in astuple(self)]

    def __add__(self, other: "RegionPurity") -> "RegionPurity":
        """Add the sums of other images."""
        pairs = zip(self.to_list(), other.to_list(), strict=True)
        return RegionPurity.from_list([mine + theirs for mine, theirs in pairs])


@dataclass(frozen=True)
class PurityScores:
    """Scores over all images of some sums; None where there is nothing to divide by.

    Attributes:
        coverage: share of the labelled pixels that lie in regions.
        pixel_purity: share of the covered pixels that are of their region's majority class.
        region_purity: mean over the regions of that share, each region counting alike.
        achievable_accuracy: share of the labelled pixels that are right if each region gets its
            majority class and what lies outside gets nothing (ASA, Liu et al. 2011).
        undersegmentation: `leaked` over the labelled pixels (Neubert and Protzel 2012); 0 where no
            region crosses the border of a true segment, may exceed 1.
        regions_per_segment: mean number of regions to a true segment; how finely they are cut.
        regions: how many.
        segments: how many.
    """

    coverage: float | None
    pixel_purity: float | None
    region_purity: float | None
    achievable_accuracy: float | None
    undersegmentation: float | None
    regions_per_segment: float | None
    regions: int
    segments: int


def purity_scores(sums: RegionPurity) -> PurityScores:
    """Divide once, over all images."""
    return PurityScores(
        coverage=_share(sums.covered, sums.pixels),
        pixel_purity=_share(sums.pure, sums.covered),
        region_purity=_share(sums.purity, sums.regions),
        achievable_accuracy=_share(sums.pure, sums.pixels),
        undersegmentation=_share(sums.leaked, sums.pixels),
        regions_per_segment=_share(sums.regions, sums.segments),
        regions=sums.regions,
        segments=sums.segments,
    )


def oracle_confusion(
    regions: np.ndarray,
    truth: np.ndarray,
    table: ClassTable,
    *,
    prediction: np.ndarray | None = None,
    where: str = "",
) -> ConfusionMatrix:
    """Count one image as if each region were given its majority true class.

    No labelling of these regions gets more pixels right, so its scores show what the regions cost
    and what the labels cost. Of classes that are equally frequent in a region, the lowest id wins.

    Args:
        regions: (H, W) integers, region ids from 1 on, 0 where there is no region.
        truth: (H, W) integers, ids of `table`, 255 where the truth is not known.
        table: the class table of truth and prediction.
        prediction: (H, W) integers, ids of `table` and 255: what is said outside the regions;
            without it, pixels there count as not predicted.
        where: the image, for messages.

    Raises:
        InputError: the maps differ in size, or are no maps of integers.
        UnknownClassError: ids that are not in the table.
    """
    found = _majorities(regions, truth, table, where)
    inside = found.region != NO_REGION
    counts = np.zeros((len(table), len(table) + 1), np.int64)
    chosen = np.full(len(found.region), len(table), np.int64)
    chosen[inside] = found.majority[found.row]
    np.add.at(counts, (found.label, chosen), found.pixels)
    if prediction is None:
        return ConfusionMatrix(table, counts)
    outside = np.where(regions == NO_REGION, truth, IGNORE_ID)
    beside = ConfusionMatrix.of(prediction, outside, table, where)
    counts[:, -1] = 0  # the pixels outside the regions, which `beside` holds
    return ConfusionMatrix(table, counts) + beside


class _Majorities(NamedTuple):
    """Labelled pixels by region and class, and each region's most frequent class.

    Attributes:
        region: (P,) int64, ascending; region of each pair of region and class that meet.
        label: (P,) int64, its class.
        pixels: (P,) int64, the pixels they share.
        row: position in the arrays below of the pairs that are in a region.
        areas: (R,) int64, labelled pixels of each region.
        most: (R,) int64, of these, pixels of the majority class.
        majority: (R,) int64, that class.
    """

    region: np.ndarray
    label: np.ndarray
    pixels: np.ndarray
    row: np.ndarray
    areas: np.ndarray
    most: np.ndarray
    majority: np.ndarray


def _majorities(
    regions: np.ndarray, truth: np.ndarray, table: ClassTable, where: str
) -> _Majorities:
    of_image = f" of {where}" if where else ""
    if regions.ndim != 2 or regions.dtype.kind not in "ui" or regions.shape != truth.shape:
        raise InputError(
            f"the regions{of_image} are {regions.dtype} of shape {regions.shape} and the ground "
            f"truth has shape {truth.shape}; give two (height, width) maps of integers"
        )
    region, label, pixels = count_id_pairs(regions, truth)
    # one row of the ids that occur stands for the whole map
    table.check(label[None], f"the ground truth{of_image}")
    if len(region) and region[0] < 0:
        raise InputError(f"the regions{of_image} have the id {region[0]}; ids begin at 1")
    labelled = label != IGNORE_ID
    region, label, pixels = region[labelled], label[labelled], pixels[labelled]
    inside = region != NO_REGION
    ids, row = np.unique(region[inside], return_inverse=True)
    areas = np.zeros(len(ids), np.int64)
    np.add.at(areas, row, pixels[inside])
    # by region, then by falling number of pixels, then by id: the first of each region wins
    order = np.lexsort((label[inside], -pixels[inside], row))
    first = order[np.searchsorted(row[order], np.arange(len(ids)))]
    return _Majorities(
        *(region, label, pixels, row, areas),
        most=pixels[inside][first],
        majority=label[inside][first],
    )


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
