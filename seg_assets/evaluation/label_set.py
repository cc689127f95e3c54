"""What one way of labelling says about an image, and how that compares with the truth."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.classes.table import ClassTable
from seg_assets.classes.things import find_things
from seg_assets.data.ground_truth.image_truth import ImageTruth
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.ground_truth.segment_masks import encode_segments
from seg_assets.errors import ComparisonError, ImageError, UnknownClassError
from seg_assets.evaluation.segments import (
    Segments,
    fill_segments,
    no_segments,
    translate_segments,
)
from seg_assets.metrics.boundary import BoundarySums
from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.metrics.instance_matches import InstanceMatches, PredictedObject, TrueObject
from seg_assets.metrics.panoptic import PanopticSums, count_panoptic

_PANOPTIC = ("iou", "matched", "wrong", "missed")


@dataclass(frozen=True, eq=False)
class LabelSet:
    """What one method says about one image.

    Attributes:
        label_map: (H, W) uint8, 255 = no label.
        class_map: from the classes of the map and the segments to those of the comparison.
        segments: in the classes of the map; None for a method that knows no objects, whose map is
            then cut into patches.
    """

    label_map: np.ndarray
    class_map: ClassMap
    segments: Segments | None = None


@dataclass(frozen=True, eq=False)
class TruthInClasses:
    """The truth of one image in the classes of a comparison.

    Attributes:
        label_map: (H, W) uint8, 255 = no label.
        segments: None where the ground truth knows classes only.
        objects: countable things for mask AP; None where it knows none.
    """

    label_map: np.ndarray
    segments: Segments | None
    objects: tuple[TrueObject, ...] | None

    @classmethod
    def read(cls, source: GroundTruth, image_id: str, class_map: ClassMap) -> "TruthInClasses":
        """Read and translate the truth of one image.

        Raises:
            ComparisonError: it cannot be read, or has ids that are not in its table.
        """
        try:
            truth = source.read(image_id)
        except UnknownClassError as error:
            raise ComparisonError("unknown ids", str(error)) from error
        except ImageError as error:
            raise ComparisonError("unreadable truth", str(error)) from error
        return cls.of(truth, class_map, image_id)

    @classmethod
    def of(cls, truth: ImageTruth, class_map: ClassMap, where: str) -> "TruthInClasses":
        """Translate what a reader gives.

        Raises:
            ComparisonError: the truth has ids that are not in its table.
        """
        try:
            label_map = class_map.apply(truth.label_map, f"the ground truth of {where}")
        except UnknownClassError as error:
            raise ComparisonError("unknown ids", str(error)) from error
        segments = objects = None
        things = find_things(class_map.target)
        if truth.segment_ids is not None:
            own = Segments(truth.segment_ids, truth.segment_classes, truth.crowds)
            segments = translate_segments(own, class_map)
        if truth.objects is not None:
            size = list(label_map.shape)
            objects = tuple(
                TrueObject(class_id, {"size": size, "counts": item.counts}, item.crowd, item.area)
                for item in truth.objects
                if (class_id := int(class_map.lut[item.class_id])) in things
            )
        return cls(label_map, segments, objects)


@dataclass(frozen=True, eq=False)
class LabelSums:
    """How one method compares with the truth, summed over images.

    Attributes:
        confusion: of the label maps.
        boundary: of the outlines of the classes; None where they were not asked for.
        panoptic: of the segments; None where the truth knows none.
        instances: of the objects; None where the truth knows none, the method does not score any,
            or no class is known to be a thing.
    """

    confusion: ConfusionMatrix
    boundary: BoundarySums | None = None
    panoptic: PanopticSums | None = None
    instances: InstanceMatches | None = None

    def to_row(self) -> dict[str, Any]:
        """Plain values for storage."""
        return {
            "confusion": self.confusion.to_list(),
            "boundary": None if self.boundary is None else self.boundary.to_list(),
            "panoptic": None if self.panoptic is None else _panoptic_rows(self.panoptic),
            "instances": None if self.instances is None else self.instances.to_row(),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any], table: ClassTable) -> "LabelSums":
        """Rebuild from `to_row`."""
        boundary, panoptic, instances = row["boundary"], row["panoptic"], row["instances"]
        return cls(
            ConfusionMatrix.from_list(table, row["confusion"]),
            None if boundary is None else BoundarySums.from_list(len(table), boundary),
            None if panoptic is None else _panoptic_sums(panoptic, len(table)),
            None if instances is None else InstanceMatches.from_row(instances),
        )

    @classmethod
    def join(cls, parts: Sequence["LabelSums"]) -> "LabelSums":
        """Add up images; what is missing in all of them stays missing.

        Args:
            parts: at least one, in one class table.
        """
        confusion = ConfusionMatrix.empty(parts[0].confusion.table)
        table = confusion.table
        for part in parts:
            confusion = confusion + part.confusion
        boundaries = [part.boundary for part in parts if part.boundary is not None]
        panoptics = [part.panoptic for part in parts if part.panoptic is not None]
        instances = [part.instances for part in parts if part.instances is not None]
        return cls(
            confusion,
            sum(boundaries[1:], boundaries[0]) if boundaries else None,
            sum(panoptics[1:], panoptics[0]) if panoptics else None,
            InstanceMatches.join(instances, len(table)) if instances else None,
        )


def compare_labels(
    label_set: LabelSet, truth: TruthInClasses, *, boundaries: bool, where: str
) -> LabelSums:
    """Compare what one method says about an image with the truth.

    Raises:
        ComparisonError: the sizes differ, or the map has ids that are not in its table.
    """
    table = label_set.class_map.target
    things = find_things(table)
    if label_set.label_map.shape != truth.label_map.shape:
        raise ComparisonError(
            "other size",
            f"the label map of {where} is {_size(label_set.label_map)} but the ground truth is "
            f"{_size(truth.label_map)} (width x height): compare maps of the same image at the "
            "same size",
        )
    try:
        label_map = label_set.class_map.apply(label_set.label_map, f"the label map of {where}")
    except UnknownClassError as error:
        raise ComparisonError("unknown ids", str(error)) from error
    segments = label_set.segments
    own = None if segments is None else translate_segments(segments, label_set.class_map)
    panoptic = instances = None
    if truth.segments is not None:
        filled = fill_segments(own or no_segments(*label_map.shape), label_map, table)
        panoptic = count_panoptic(
            filled.ids,
            filled.classes,
            truth.segments.ids,
            truth.segments.classes,
            classes=len(table),
            crowds=truth.segments.crowds,
            where=where,
        )
    if truth.objects is not None and own is not None and own.scores is not None and things:
        found = predicted_objects(own, own.scores, things)
        instances = InstanceMatches.of(found, truth.objects, classes=len(table), where=where)
    return LabelSums(
        ConfusionMatrix.of(label_map, truth.label_map, table, where),
        BoundarySums.of(label_map, truth.label_map, table, where=where) if boundaries else None,
        panoptic,
        instances,
    )


def predicted_objects(
    segments: Segments, scores: Mapping[int, float], things: Collection[int]
) -> list[PredictedObject]:
    """The things among scored segments, by ascending id."""
    chosen = sorted(i for i in scores if segments.classes[i] in things)
    size = list(segments.ids.shape)
    masks = encode_segments(segments.ids, chosen)
    return [
        PredictedObject(segments.classes[i], scores[i], {"size": size, "counts": masks[i]})
        for i in chosen
    ]


def _panoptic_rows(sums: PanopticSums) -> list[dict[str, Any]]:
    """One row for each class that occurs: few of many."""
    counts = [sums.iou, sums.matched, sums.wrong, sums.missed]
    occurs = np.flatnonzero(sums.matched + sums.wrong + sums.missed)
    return [
        {"class_id": i, **{n: c[i].item() for n, c in zip(_PANOPTIC, counts, strict=True)}}
        for i in occurs.tolist()
    ]


def _panoptic_sums(rows: Sequence[Mapping[str, Any]], classes: int) -> PanopticSums:
    sums = PanopticSums.empty(classes)
    for row in rows:
        for name in _PANOPTIC:
            getattr(sums, name)[row["class_id"]] = row[name]
    return sums


def _size(label_map: np.ndarray) -> str:
    height, width = label_map.shape
    return f"{width}x{height}"
