"""Semantic-Segment-Anything: any segmentor's label map, voted into the masks.

Every mask takes the class that most of its pixels have in the segmentor's own map. The masks are
painted over that map from the largest to the smallest, so that details stay; pixels in no mask keep
the segmentor's label. Every mask votes on the untouched map, not on what is painted already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seg_assets.classes.table import IGNORE_ID
from seg_assets.data.run_lengths import paint_masks
from seg_assets.errors import InputError
from seg_assets.labels.label_runs import LabelRuns
from seg_assets.labels.mean_logits import mean_logits
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.labels.voting import count_mask_votes
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import runs_of


@dataclass(frozen=True)
class VoteProposal:
    """A class that a mask may have.

    Attributes:
        class_id: in the segmentor's table.
        share: share of the mask's pixels that the segmentor gives this class, 0 to 1.
    """

    class_id: int
    share: float


@dataclass(frozen=True)
class MaskVote:
    """The class of one mask and how sure the vote was: one row of a table.

    Attributes:
        mask_id: index of the mask in the image's records.
        class_id: the winner, in the segmentor's table; 255 if the mask has no labelled pixel.
        vote_share: share of the mask's pixels that the segmentor gives the winner, 0 to 1.
        kept: whether the mask is painted. Not if its share is below the threshold, or if there is
            nothing to vote: then the segmentor's own labels stay.
        proposals: the best classes, best first; none if there is nothing to vote.
    """

    mask_id: int
    class_id: int
    vote_share: float
    kept: bool
    proposals: tuple[VoteProposal, ...]

    def to_row(self, image_id: str) -> dict[str, Any]:
        """The vote as a row of a table."""
        row = {"image_id": image_id, **vars(self)}
        row["proposals"] = [vars(proposal).copy() for proposal in self.proposals]
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "MaskVote":
        """Read a row back."""
        fields = {name: row[name] for name in cls.__dataclass_fields__}
        fields["proposals"] = tuple(VoteProposal(**proposal) for proposal in row["proposals"])
        return cls(**fields)


def vote_masks(
    records: Sequence[MaskRecord],
    label_map: np.ndarray | LabelRuns,
    params: SsaParams | None = None,
    logits: np.ndarray | None = None,
) -> list[MaskVote]:
    """Name every mask, in the order of the records.

    By majority the class of most pixels wins; pixels without label (255) have no vote. By mean
    logits the class wins whose logits, scaled to the image, have the highest mean over the mask's
    pixels, whatever the label map says. Of equals the lowest id wins.

    Args:
        records: masks of one image.
        label_map: (H, W) uint8, what the segmentor says, 255 = no label; or its runs.
        params: the rule, the threshold and the number of proposals.
        logits: (C, h, w) float32 of the segmentor, at any size; read for mean logits only.

    Raises:
        InputError: a mask has another size than the map or is damaged, or there are no logits for
            the rule that needs them, or those of too many classes.
    """
    params = params or SsaParams()
    masks = [record.rle for record in records]
    counts = count_mask_votes(masks, label_map)
    if params.rule == "majority":
        scores = np.where(counts > 0, counts, -np.inf)
        scores[:, IGNORE_ID] = -np.inf
    elif logits is None:
        raise InputError(
            "the rule mean_logits needs the logits of the segmentor, and there are none: choose a "
            "segmentor that gives logits, or the rule majority"
        )
    elif len(logits) > IGNORE_ID:
        raise InputError(
            f"a segmentor with logits of {len(logits)} classes cannot be used: a label map holds "
            f"{IGNORE_ID} at most"
        )
    else:
        means = mean_logits(masks, logits, align_corners=params.align_corners)
        scores = np.where(np.isnan(means), -np.inf, means)  # of an empty mask
    return [
        _vote(mask_id, of_mask, row, params)
        for mask_id, (of_mask, row) in enumerate(zip(counts, scores, strict=True))
    ]


def _vote(mask_id: int, counts: np.ndarray, scores: np.ndarray, params: SsaParams) -> MaskVote:
    """The vote of one mask: pixels per label, (256,), and a score per class, -inf = impossible."""
    order = np.argsort(-scores, kind="stable")[: params.top_k]
    best = order[np.isfinite(scores[order])].tolist()
    if not best:
        return MaskVote(mask_id, IGNORE_ID, 0.0, False, ())
    area = int(counts.sum())
    proposals = tuple(VoteProposal(i, int(counts[i]) / area) for i in best)
    share = proposals[0].share
    return MaskVote(mask_id, best[0], share, share >= params.min_vote_share, proposals)


def paint_votes(
    records: Sequence[MaskRecord], votes: Sequence[MaskVote], label_map: np.ndarray
) -> np.ndarray:
    """Paint the masks that are kept over the segmentor's map, larger ones first.

    Of masks with equal areas the earlier one is painted first, as in SSA.

    Args:
        records: masks of one image.
        votes: one for each record, in any order.
        label_map: (H, W) uint8, what the segmentor says.

    Returns:
        (H, W) uint8; pixels that no painted mask holds are those of `label_map`.

    Raises:
        InputError: a mask has another size than the map or is damaged, or records and votes do
            not belong together.
    """
    if label_map.ndim != 2 or label_map.dtype != np.uint8:
        raise InputError(f"a label map is (H, W) uint8, not {label_map.dtype} of {label_map.shape}")
    classes = {vote.mask_id: vote.class_id for vote in votes if vote.kept}
    if sorted(vote.mask_id for vote in votes) != list(range(len(records))):
        raise InputError(
            f"{len(records)} masks and {len(votes)} votes do not belong together: pass one vote "
            "for each mask of this image"
        )
    masks = runs_of([record.rle for record in records], *label_map.shape)
    painted = [i for i in paint_order(records) if i in classes]
    values = np.array([classes[i] for i in painted], np.uint8)
    return paint_masks(masks.pick(painted), values, label_map)


def paint_order(records: Sequence[MaskRecord]) -> list[int]:
    """Indices of the records by falling area; of equal areas the earlier one comes first."""
    areas = np.array([record.area for record in records], np.int64)
    return np.argsort(-areas, kind="stable").tolist()
