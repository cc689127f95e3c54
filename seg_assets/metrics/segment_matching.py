"""Which predicted segments are which true ones, by the rule of panoptic quality."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from seg_assets.errors import InputError
from seg_assets.metrics.pair_counts import count_id_pairs

VOID = 0
"""Segment id of pixels that belong to no segment."""


class SegmentMatches(NamedTuple):
    """Segments of one image.

    Attributes:
        matched: (M,) int64, class of each pair of a true and a predicted segment.
        ious: (M,) float64, their IoU.
        wrong: (F,) int64, class of each predicted segment that has no partner and needs one.
        missed: (N,) int64, class of each true segment without a partner.
    """

    matched: np.ndarray
    ious: np.ndarray
    wrong: np.ndarray
    missed: np.ndarray


def match_segments(
    prediction: np.ndarray,
    truth: np.ndarray,
    predicted_classes: Mapping[int, int],
    true_classes: Mapping[int, int],
    crowds: Collection[int] = (),
    where: str = "",
) -> SegmentMatches:
    """Match the segments of one image; `count_panoptic` says by which rule.

    Args:
        prediction: (H, W) integers, segment ids, 0 where there is no segment.
        truth: (H, W) integers, likewise.
        predicted_classes: predicted segment id -> class, at least 0.
        true_classes: true segment id -> class, at least 0.
        crowds: ids of the true segments that are crowds.
        where: the image, for messages.

    Raises:
        InputError: the maps differ in size, or a map and its segments do not agree.
    """
    of_image = f" of {where}" if where else ""
    # one entry per pair of segments that meet: what they share
    predicted, true, shared = count_id_pairs(prediction, truth)
    predicted_ids, column = np.unique(predicted, return_inverse=True)
    true_ids, row = np.unique(true, return_inverse=True)
    predicted_class = _classes(predicted_ids, predicted_classes, f"the prediction{of_image}")
    true_class = _classes(true_ids, true_classes, f"the ground truth{of_image}")
    is_crowd = np.isin(true_ids, list(crowds))

    predicted_area = np.bincount(column, shared, len(predicted_ids))
    true_area = np.bincount(row, shared, len(true_ids))
    in_void = true == VOID
    on_void = np.bincount(column[in_void], shared[in_void], len(predicted_ids))

    same = (predicted_class[column] == true_class[row]) & (true_class[row] >= 0)
    union = true_area[row] + predicted_area[column] - on_void[column] - shared
    ious = shared / np.maximum(union, 1)  # 0 only where void and a segment within it meet
    # above 0.5 a segment has one partner at most
    hit = same & ~is_crowd[row] & (ious > 0.5)

    in_crowd = same & is_crowd[row]
    on_crowd = np.bincount(column[in_crowd], shared[in_crowd], len(predicted_ids))
    excused = on_void + on_crowd > 0.5 * predicted_area
    wrong = (predicted_class >= 0) & ~excused
    wrong[column[hit]] = False
    missed = (true_class >= 0) & ~is_crowd
    missed[row[hit]] = False
    return SegmentMatches(
        true_class[row[hit]], ious[hit], predicted_class[wrong], true_class[missed]
    )


def _classes(ids: np.ndarray, known: Mapping[int, int], subject: str) -> np.ndarray:
    """Class of each segment, -1 for void; a map and a list of another image are refused."""
    present = set(ids.tolist()) - {VOID}
    if stray := present - known.keys():
        raise InputError(
            f"{subject} holds segment {min(stray)}, which has no class; list every segment"
        )
    if absent := known.keys() - present:
        raise InputError(f"{subject} lists segment {min(absent)}, which has no pixel; leave it out")
    return np.array([-1 if i == VOID else known[i] for i in ids.tolist()], np.int64)
