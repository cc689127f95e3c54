"""What masks are worth, whatever they are called: purity, the best labelling, the objects found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seg_assets.classes.table import ClassTable
from seg_assets.data.ground_truth.segment_masks import encode_segments
from seg_assets.evaluation.label_set import TruthInClasses
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import RegionMap
from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.metrics.mask_recall import MaskRecall, ObjectMatch, match_masks
from seg_assets.metrics.purity import RegionPurity, oracle_confusion


@dataclass(frozen=True)
class FoundObject:
    """One true object and the mask that fits it best: a row of the `evaluation_objects` table.

    Attributes:
        object_id: id of its segment in the ground truth.
        class_id: in the table of the comparison.
        area: pixels.
        iou: with the best mask, 0 to 1; 0 where no mask touches it.
        mask_id: that mask, or None.
    """

    object_id: int
    class_id: int
    area: int
    iou: float
    mask_id: int | None

    def to_row(self, image_id: str) -> dict[str, Any]:
        """One row of the table."""
        return {"image_id": image_id, **vars(self)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "FoundObject":
        """Read a row of the table back."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, eq=False)
class MaskSums:
    """What masks are worth, summed over images.

    Attributes:
        purity: of the regions that the masks leave of one another.
        oracle: confusion as if each region had its most frequent true class; pixels outside the
            regions keep what the first label set says.
        recall: of the true objects; None where the truth knows no segments.
    """

    purity: RegionPurity
    oracle: ConfusionMatrix
    recall: MaskRecall | None

    @classmethod
    def join(cls, parts: Sequence["MaskSums"]) -> "MaskSums":
        """Add up at least one image."""
        recalls = [part.recall for part in parts if part.recall is not None]
        return cls(
            sum((part.purity for part in parts), RegionPurity.empty()),
            sum((part.oracle for part in parts[1:]), parts[0].oracle),
            sum(recalls, MaskRecall.empty()) if recalls else None,
        )


def find_objects(truth: TruthInClasses, masks: Sequence[MaskRecord]) -> list[FoundObject] | None:
    """Find the best mask of each true segment, things and stuff but no crowds; None without any.

    Args:
        truth: of the image.
        masks: of the image; they may overlap.
    """
    if truth.segments is None:
        return None
    segments = truth.segments
    chosen = sorted(segments.classes.keys() - segments.crowds)
    size = list(segments.ids.shape)
    counts = encode_segments(segments.ids, chosen)
    found = match_masks(
        [{"size": size, "counts": counts[i]} for i in chosen],
        [{"size": [m.rle.height, m.rle.width], "counts": m.rle.counts} for m in masks],
    )
    return [
        FoundObject(i, segments.classes[i], match.area, match.iou, match.mask)
        for i, match in zip(chosen, found, strict=True)
    ]


def recall_of(objects: Sequence[FoundObject]) -> MaskRecall:
    """Sum objects up."""
    return MaskRecall.of_matches(
        [ObjectMatch(item.object_id, item.area, item.iou, item.mask_id) for item in objects]
    )


def score_regions(
    region_map: RegionMap,
    outside: np.ndarray,
    truth: np.ndarray,
    table: ClassTable,
    where: str,
) -> tuple[RegionPurity, ConfusionMatrix]:
    """Purity of the regions, and the best labelling that is possible with them.

    Args:
        region_map: of the image.
        outside: (H, W) uint8 ids of `table`, 255 = no label: what is said where no region is.
        truth: (H, W) uint8 ids of `table`, 255 = not known.
        table: the classes.
        where: the image, for messages.
    """
    return (
        RegionPurity.of(region_map.ids, truth, table, where),
        oracle_confusion(region_map.ids, truth, table, prediction=outside, where=where),
    )
