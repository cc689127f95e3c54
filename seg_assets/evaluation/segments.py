"""Segments in the classes of a comparison: things one by one, the stuff of a class together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.classes.things import find_things
from seg_assets.data.panoptic.segments import SegmentedImage
from seg_assets.labels.fusion import RegionLabel
from seg_assets.labels.ssa import MaskVote
from seg_assets.masks.region_map import RegionMap


@dataclass(frozen=True, eq=False)
class Segments:
    """Disjoint segments of one image.

    Attributes:
        ids: (H, W) int32, 0 = no segment.
        classes: class id of each segment that has pixels.
        crowds: segments that stand for a group of objects.
        scores: how sure the labeller is of its segments, 0 to 1; a segment without one is no
            object. None where nobody says, as in ground truth.
    """

    ids: np.ndarray
    classes: Mapping[int, int]
    crowds: frozenset[int] = frozenset()
    scores: Mapping[int, float] | None = None


def translate_segments(segments: Segments, class_map: ClassMap) -> Segments:
    """Bring segments into the classes in which a comparison meets.

    Segments of a class without a counterpart there are no segments any more. Segments of stuff that
    become one class become one segment, under the lowest of their ids and with the mean of their
    scores. Things and crowds stay apart.

    Args:
        segments: in the classes of `class_map.source`.
        class_map: to the classes of the comparison.
    """
    things = find_things(class_map.target)
    first: dict[int, int] = {}  # class of stuff -> the id that its segments share
    becomes: dict[int, int] = {}
    classes: dict[int, int] = {}
    scores: dict[int, list[float]] = {}
    for segment_id in sorted(segments.classes):
        class_id = int(class_map.lut[segments.classes[segment_id]])
        if class_id == IGNORE_ID:
            continue
        kept = segment_id
        if class_id not in things and segment_id not in segments.crowds:
            kept = first.setdefault(class_id, segment_id)
        becomes[segment_id] = kept
        classes[kept] = class_id
        if segments.scores is not None and segment_id in segments.scores:
            scores.setdefault(kept, []).append(segments.scores[segment_id])
    return Segments(
        SegmentedImage(segments.ids, ()).lookup(becomes, 0),
        classes,
        segments.crowds & classes.keys(),
        None if segments.scores is None else {i: float(np.mean(s)) for i, s in scores.items()},
    )


def named_regions(region_map: RegionMap, labels: Sequence[RegionLabel]) -> Segments:
    """Regions with the classes and scores that a labeller gave them.

    A region whose class comes from the vote of the label map scores with its share of the vote.
    """
    named = [label for label in labels if label.class_id != IGNORE_ID]
    return Segments(
        region_map.ids,
        {label.region_id: label.class_id for label in named},
        scores={
            label.region_id: label.vote_share if label.fallback else label.score for label in named
        },
    )


def voted_regions(region_map: RegionMap, votes: Sequence[MaskVote]) -> Segments:
    """Regions with the classes that their masks were voted into, scored by the vote's share.

    Regions of masks in which the segmentor's labels stay are no segments.
    """
    by_mask = {vote.mask_id: vote for vote in votes}
    chosen = {
        region_id: by_mask[int(region_map.mask_ids[region_id - 1])]
        for region_id in region_map.visible()[0].tolist()
    }
    kept = {region_id: vote for region_id, vote in chosen.items() if vote.kept}
    return Segments(
        region_map.ids,
        {region_id: vote.class_id for region_id, vote in kept.items()},
        scores={region_id: vote.vote_share for region_id, vote in kept.items()},
    )


def fill_segments(segments: Segments, label_map: np.ndarray, table: ClassTable) -> Segments:
    """Give the pixels in no segment to segments of their labels.

    Stuff joins the segment of its class; each connected patch of a thing's class (8-neighbours)
    becomes a segment of its own, without a score. So a label map becomes segments, too.

    Args:
        segments: in the classes of `table`; stuff has one segment per class at most.
        label_map: (H, W) uint8 ids of `table`, 255 = no label.
        table: the classes.
    """
    import cv2  # noqa: PLC0415  # loading Dagster's definitions leads here, and needs no OpenCV

    things = find_things(table)
    free = segments.ids == 0
    ids, classes = segments.ids.copy(), dict(segments.classes)
    stuff = {class_id: i for i, class_id in classes.items() if class_id not in things}
    following = max(classes, default=0) + 1
    present = np.flatnonzero(np.bincount(label_map[free], minlength=256)[:IGNORE_ID])
    for class_id in present.tolist():
        pixels = free & (label_map == class_id)
        if class_id in things:
            count, patches = cv2.connectedComponents(pixels.view(np.uint8), connectivity=8)
            ids[pixels] = patches[pixels] + (following - 1)
            classes.update(dict.fromkeys(range(following, following + count - 1), class_id))
            following += count - 1
            continue
        if class_id not in stuff:
            stuff[class_id] = following
            classes[following] = class_id
            following += 1
        ids[pixels] = stuff[class_id]
    return Segments(ids, classes, segments.crowds, segments.scores)


def no_segments(height: int, width: int) -> Segments:
    """The segments of a label map that knows none."""
    return Segments(np.zeros((height, width), np.int32), {})
