"""The numbers of an evaluation, ready for JSON: of label sets, classes, masks; what is missing."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from seg_assets.classes.things import find_things
from seg_assets.evaluation.label_set import LabelSums
from seg_assets.evaluation.mask_set import MaskSums
from seg_assets.evaluation.tally import NO_LABELS, NO_PREDICTION, NO_TRUTH, Tally
from seg_assets.metrics.average_precision import average_precision
from seg_assets.metrics.boundary import boundary_scores
from seg_assets.metrics.mask_recall import recall_scores
from seg_assets.metrics.panoptic import panoptic_scores
from seg_assets.metrics.purity import purity_scores
from seg_assets.metrics.semantic import semantic_scores


def report_of(tally: Tally) -> dict[str, Any]:
    """All scores as plain values; None where a score is not defined.

    Keys: images (compared), images_without_truth, images_without_prediction, images_failed (could
    not be compared), images_per_method (compared; a method may lack some), missing (by reason:
    count and first examples), scores (by method: semantic scores; the classes of the truth that it
    cannot name, and, where there are such, miou_nameable, the mIoU without them), boundary,
    panoptic, instances (by method, where there are any), masks, worst_images. The first four count
    every image once.
    """
    sums = tally.label_sets
    counts = {reason: missing.count for reason, missing in tally.missing.items()}
    return {
        "images": tally.images,
        "images_without_truth": counts.pop(NO_TRUTH, 0),
        "images_without_prediction": counts.pop(NO_PREDICTION, 0),
        "images_failed": sum(n for why, n in counts.items() if not why.startswith(NO_LABELS)),
        "images_per_method": {method: tally.images_of[method] for method in sums},
        "missing": {reason: asdict(missing) for reason, missing in tally.missing.items()},
        "scores": {
            method: _semantic(found, tally.unreachable.get(method, frozenset()))
            for method, found in sums.items()
        },
        "boundary": _by_method(sums, _boundary),
        "panoptic": _by_method(sums, _panoptic),
        "instances": _by_method(sums, _instances),
        "masks": None if tally.masks is None else _masks(tally.masks),
        "worst_images": [asdict(image) for image in tally.worst],
    }


def _by_method(sums: Mapping[str, LabelSums], score: Any) -> dict[str, Any]:
    found = {method: score(of_method) for method, of_method in sums.items()}
    return {method: scores for method, scores in found.items() if scores is not None}


def _semantic(sums: LabelSums, unreachable: Collection[int]) -> dict[str, Any]:
    confusion = sums.confusion
    occur = set(np.flatnonzero(confusion.truth_area).tolist())
    lost = [item for item in confusion.table.classes if item.id in occur.intersection(unreachable)]
    nameable = semantic_scores(confusion, exclude=lost).to_json()["miou"]
    return {
        **semantic_scores(confusion).to_json(),
        "cannot_name": [item.name for item in lost],
        "miou_nameable": nameable if lost else None,
    }


def _boundary(sums: LabelSums) -> dict[str, Any] | None:
    if sums.boundary is None:
        return None
    scores = boundary_scores(sums.boundary)
    return {**scores.means(), "classes": scores.rows()}


def _panoptic(sums: LabelSums) -> dict[str, Any] | None:
    if sums.panoptic is None:
        return None
    table = sums.confusion.table
    things = find_things(table)
    scores = panoptic_scores(sums.panoptic, [item.id in things for item in table.classes])
    return {
        "all": scores.all,
        "things": scores.things,
        "stuff": scores.stuff,
        "classes": scores.rows(),
    }


def _instances(sums: LabelSums) -> dict[str, Any] | None:
    if sums.instances is None:
        return None
    scores = average_precision(sums.instances)
    return {**scores.summary(), "classes": scores.rows()}


def _masks(sums: MaskSums) -> dict[str, Any]:
    oracle = semantic_scores(sums.oracle)
    return {
        **asdict(purity_scores(sums.purity)),
        "oracle": oracle.to_json(),
        "recall": None if sums.recall is None else recall_scores(sums.recall),
    }
