"""From what SEEM answers about each region to one label per pixel.

The rule, in the order of this file: a region takes the class that SEEM gives to its prompt; where
that is "others", the class that SEEM's own map gives to most of its pixels; pixels in no region
keep SEEM's label.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.errors import InputError
from seg_assets.labels.score_groups import ScoreGroups
from seg_assets.masks.region_map import RegionMap

NO_LABEL = 255
ROWS_AT_ONCE = 512  # whose votes are counted together, so that a large photo needs little memory


@dataclass(frozen=True)
class Proposal:
    """A class of SEEM's own table that it holds possible for a region; behind the last = others."""

    source_id: int
    score: float


@dataclass(frozen=True)
class RegionAnswer:
    """What SEEM says about one prompt: its classes by falling probability, and how sure it is.

    Attributes:
        proposals: the most probable classes, best first.
        margin: probability of the best minus that of the second best.
        group: where groups of classes competed: the most probable class of the winning group, with
            the probability of the whole group; `margin` is then over the second best group.
    """

    proposals: tuple[Proposal, ...]
    margin: float
    group: Proposal | None = None

    @property
    def best(self) -> Proposal:
        """What names the region."""
        return self.group or self.proposals[0]


@dataclass(frozen=True)
class RegionLabel:
    """The label of one region and why it got it: one row of the `region_labels` table.

    Attributes:
        region_id: id in the region map, from 1.
        mask_id: the mask that the region is what remains of.
        area: pixels of the region.
        source_id: SEEM's answer to the prompt, in its own table of C classes; C = others.
        class_id: the label, in the target table; 255 if the table has no class for it.
        score: probability of `source_id`, 0 to 1; where groups competed, of its whole group.
        margin: `score` minus the probability of the runner-up (class or group).
        vote_share: share of the region's pixels to which SEEM's own map gives `class_id`.
        fallback: the label comes from the vote of SEEM's own map, not from the prompt.
        proposals: the most probable answers, best first.
    """

    region_id: int
    mask_id: int
    area: int
    source_id: int
    class_id: int
    score: float
    margin: float
    vote_share: float
    fallback: bool
    proposals: tuple[Proposal, ...]

    def to_row(self, image_id: str) -> dict[str, Any]:
        """One row of the `region_labels` table."""
        row = {"image_id": image_id, **vars(self)}
        row["proposals"] = [vars(proposal).copy() for proposal in self.proposals]
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "RegionLabel":
        """Read a row of the `region_labels` table back."""
        fields = {name: row[name] for name in cls.__dataclass_fields__}
        fields["proposals"] = tuple(Proposal(**proposal) for proposal in row["proposals"])
        return cls(**fields)


def answers_of(
    class_logits: np.ndarray, top_k: int, groups: ScoreGroups | None = None
) -> list[RegionAnswer]:
    """Turn the class logits of the matched queries into answers.

    Args:
        class_logits: (n, classes + 1) float, one row per prompt, "others" last.
        top_k: proposals to keep, at most all.
        groups: which classes compete together; "others", and each class without a counterpart,
            compete on their own. If None all do.
    """
    logits = class_logits.astype(np.float64)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    # By the logits, not the probabilities, which may round to ties; equal ones by ascending id.
    order = np.argsort(-logits, axis=1, kind="stable")
    answers = []
    for row, best in zip(probabilities, order, strict=True):
        proposals = tuple(Proposal(int(i), float(row[i])) for i in best[:top_k])
        answers.append(RegionAnswer(proposals, float(row[best[0]] - row[best[1]])))
    return answers if groups is None else _grouped(answers, probabilities, order, groups)


def _grouped(
    answers: Sequence[RegionAnswer],
    probabilities: np.ndarray,
    order: np.ndarray,
    groups: ScoreGroups,
) -> list[RegionAnswer]:
    """The answers (n) with the best group of each, from its classes' probabilities and order."""
    # behind the groups come the others
    sums = np.append(groups.add(probabilities[:, :-1]), probabilities[:, -1:], axis=1)
    columns = np.append(groups.column, sums.shape[1] - 1)
    ranked = np.argsort(-sums, axis=1, kind="stable")
    result = []
    for answer, row, best, (first, second) in zip(answers, sums, order, ranked[:, :2], strict=True):
        member = best[columns[best] == first][0]
        group = Proposal(int(member), float(row[first]))
        result.append(replace(answer, margin=float(row[first] - row[second]), group=group))
    return result


def fuse_answers(
    region_map: RegionMap,
    answers: Mapping[int, RegionAnswer],
    seem_map: np.ndarray,
    class_map: ClassMap,
    region_scores: Callable[[int], np.ndarray],
) -> list[RegionLabel]:
    """Give every region its label, by ascending region id.

    Args:
        region_map: regions of an image of H x W pixels.
        answers: SEEM's answer per region id; a region without one counts as answered "others".
        seem_map: (H, W) uint8, SEEM's own label per pixel in the target table.
        class_map: from SEEM's own table to the target table.
        region_scores: for a region id, the sum of SEEM's scores over its pixels, (classes,). Only
            asked for when a vote is tied.

    Raises:
        InputError: the maps differ in size.
    """
    votes = count_votes(region_map.ids, seem_map)
    # A prompt that cannot be asked (it is empty) is answered as "others".
    no_answer = RegionAnswer((Proposal(len(class_map.source), 0.0),), 0.0)
    labels = []
    for region_id in np.flatnonzero(votes.sum(axis=1)).tolist():
        if region_id == 0:
            continue
        counts = votes[region_id]
        area = int(counts.sum())
        answer = answers.get(region_id, no_answer)
        best = answer.best
        class_id = int(class_map.lut[best.source_id])  # of "others" too: no label
        fallback = class_id == NO_LABEL
        if fallback:
            class_id = win_vote(counts, lambda i=region_id: group_sums(region_scores(i), class_map))
        labels.append(
            RegionLabel(
                region_id=region_id,
                mask_id=int(region_map.mask_ids[region_id - 1]),
                area=area,
                source_id=best.source_id,
                class_id=class_id,
                score=best.score,
                margin=answer.margin,
                vote_share=float(counts[class_id] / area),
                fallback=fallback,
                proposals=answer.proposals,
            )
        )
    return labels


def count_votes(ids: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """How many pixels of each region have each label: (largest region id + 1, 256) int64.

    Args:
        ids: (H, W) integer region ids.
        label_map: (H, W) uint8.

    Raises:
        InputError: the maps differ in size.
    """
    _check_same_size(ids, label_map)
    regions = int(ids.max(initial=0)) + 1
    counts = np.zeros(regions * 256, np.int64)
    for start in range(0, len(ids), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        pairs = ids[rows].astype(np.int64) * 256 + label_map[rows]
        counts += np.bincount(pairs.ravel(), minlength=len(counts))
    return counts.reshape(regions, 256)


def win_vote(counts: np.ndarray, scores: Callable[[], np.ndarray]) -> int:
    """The label of most pixels; on a tie the one with the higher score, then the lowest id.

    Pixels without label (255) vote only if there are no others.

    Args:
        counts: (256,) pixels per label, not all 0.
        scores: gives a score per label, (256,); called on ties only.
    """
    voting = counts[:NO_LABEL]
    winners = np.flatnonzero(voting == voting.max())
    if voting.max() == 0:
        return NO_LABEL
    if len(winners) == 1:
        return int(winners[0])
    return int(winners[scores()[winners].argmax()])


def group_sums(scores: np.ndarray, class_map: ClassMap) -> np.ndarray:
    """Add up the scores of the source classes that share a target class: (256,) float64.

    Args:
        scores: (source classes,) float.
        class_map: source to target table.
    """
    return np.bincount(class_map.lut[: len(scores)], weights=scores, minlength=256)


def paint_labels(
    region_map: RegionMap, labels: Sequence[RegionLabel], seem_map: np.ndarray
) -> np.ndarray:
    """Write each region's label into its pixels; pixels in no region keep SEEM's label.

    Args:
        region_map: regions of an image of H x W pixels.
        labels: one label for each of its regions.
        seem_map: (H, W) uint8, SEEM's own label per pixel.

    Returns:
        (H, W) uint8.

    Raises:
        InputError: the maps differ in size, or labels and regions do not belong together.
    """
    ids = region_map.ids
    _check_same_size(ids, seem_map)
    strangers = sorted(set(region_map.visible()[0].tolist()) ^ {r.region_id for r in labels})
    if strangers:
        raise InputError(
            "the region map and the region labels do not belong together: region ids "
            f"{strangers[:10]} occur in one of them only; label the image again"
        )
    table = np.zeros(int(ids.max(initial=0)) + 1, np.uint8)
    for label in labels:
        table[label.region_id] = label.class_id
    return np.where(ids == 0, seem_map, table[ids])


def _check_same_size(ids: np.ndarray, label_map: np.ndarray) -> None:
    if ids.shape != label_map.shape:
        raise InputError(
            f"the region map is {ids.shape} and the label map {label_map.shape} pixels: "
            "pass the maps of one image"
        )
