"""Predicted objects take true ones, the highest score first: COCO's rule, in Numba."""

import numpy as np
from numba import njit

WRONG, RIGHT, IGNORED = 0, 1, 2
"""What becomes of a predicted object: no true one fits, one does, or it counts for nothing."""


def match_greedily(
    ious: np.ndarray,
    predicted_classes: np.ndarray,
    predicted_areas: np.ndarray,
    true_classes: np.ndarray,
    true_areas: np.ndarray,
    crowd: np.ndarray,
    ranges: np.ndarray,
    thresholds: np.ndarray,
) -> np.ndarray:
    """Match P predicted with T true objects in each area range and at each threshold.

    Args:
        ious: (P, T) float64; with a crowd, the share of the prediction that lies on it.
        predicted_classes: (P,) int64, by falling score.
        predicted_areas: (P,) float64.
        true_classes: (T,) int64.
        true_areas: (T,) float64.
        crowd: (T,) bool.
        ranges: (A, 2) float64, smallest and largest area of each range.
        thresholds: (I,) float64 above 0, IoU from which on a pair may match.

    Returns:
        (P, A, I) uint8: WRONG, RIGHT or IGNORED.
    """
    outcomes = np.zeros((len(predicted_classes), len(ranges), len(thresholds)), np.uint8)
    _match(
        np.ascontiguousarray(ious),
        *(predicted_classes, predicted_areas, true_classes, true_areas, crowd),
        *(ranges, np.minimum(thresholds, 1 - 1e-10), outcomes),
    )
    return outcomes


@njit(cache=True, nogil=True)
def _match(
    ious,
    predicted_classes,
    predicted_areas,
    true_classes,
    true_areas,
    crowd,
    ranges,
    thresholds,
    outcomes,
):
    """Fill `outcomes`."""
    predictions, truths = ious.shape
    least = thresholds.min()
    # the few true objects that each prediction may take at all
    begins = np.zeros(predictions + 1, np.int64)
    candidates = np.empty(predictions * truths, np.int64)
    count = 0
    for p in range(predictions):
        for t in range(truths):
            if ious[p, t] >= least and predicted_classes[p] == true_classes[t]:
                candidates[count] = t
                count += 1
        begins[p + 1] = count
    free = np.empty(truths, np.bool_)
    ignored = np.empty(truths, np.bool_)
    for a in range(len(ranges)):
        low, high = ranges[a]
        for t in range(truths):
            ignored[t] = crowd[t] or true_areas[t] < low or true_areas[t] > high
        for i in range(len(thresholds)):
            free[:] = True
            for p in range(predictions):
                fitting = candidates[begins[p] : begins[p + 1]]
                outcome = RIGHT
                chosen = _choose(fitting, ious[p], free, ignored, False, thresholds[i])
                if chosen < 0:
                    outcome = IGNORED
                    chosen = _choose(fitting, ious[p], free, ignored, True, thresholds[i])
                if chosen >= 0:
                    free[chosen] = crowd[chosen]
                elif low <= predicted_areas[p] <= high:
                    outcome = WRONG
                outcomes[p, a, i] = outcome


@njit(cache=True, nogil=True)
def _choose(candidates, ious, free, ignored, wanted, least):
    """The free true object of highest IoU among those (not) ignored, or -1; of equals the last."""
    chosen, best = -1, least
    for t in candidates:
        if free[t] and ignored[t] == wanted and ious[t] >= best:
            chosen, best = t, ious[t]
    return chosen
