"""SSA's result for one image as JSON: SA-1B's masks with names, and the run lengths per class.

The form is that of Semantic-Segment-Anything, with three differences: `class_proposals` is always a
list, `image` says which image it is, as in SA-1B, and each annotation also has an id and the shares
of the votes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seg_assets.classes.table import IGNORE_ID, ClassTable
from seg_assets.data.annotation_json import field, image_size, records
from seg_assets.errors import ImageError, InputError
from seg_assets.labels.label_runs import LabelRuns, map_of_masks
from seg_assets.labels.ssa import MaskVote, VoteProposal, paint_order
from seg_assets.masks.annotations import annotation
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import Rle, runs_of

_QUALITY = ("predicted_iou", "stability_score")


@dataclass(frozen=True, eq=False)
class SsaResult:
    """What SSA says about one image.

    Attributes:
        records: the masks.
        votes: one for each; shares that a file does not tell are nan.
        label_map: (H, W) uint8, the masks' classes over the segmentor's map, 255 = no label.
    """

    records: list[MaskRecord]
    votes: list[MaskVote]
    label_map: np.ndarray


def ssa_json(
    result: SsaResult, table: ClassTable, *, image_id: int, file_name: str
) -> dict[str, Any]:
    """The content of a JSON file.

    Annotations go by falling area. A mask that is not painted has neither class nor name, but
    proposals; one without any labelled pixel has none. Pixels without label are in no class.

    Args:
        result: of one image.
        table: the segmentor's classes.
        image_id: a number, as SA-1B has it.
        file_name: of the picture.

    Raises:
        UnknownClassError: an id is not in the table.
    """
    height, width = result.label_map.shape
    votes = {vote.mask_id: vote for vote in result.votes}
    return {
        "image": {"image_id": image_id, "width": width, "height": height, "file_name": file_name},
        "annotations": [
            {"id": i + 1, **annotation(result.records[i], "coco_rle"), **_named(votes[i], table)}
            for i in paint_order(result.records)
        ],
        "semantic_mask": semantic_mask(result.label_map),
    }


def semantic_mask(label_map: np.ndarray) -> dict[str, Any]:
    """The run lengths of each class of a label map, (H, W) uint8, in COCO's form; not of 255."""
    segments = LabelRuns.of(label_map).masks()
    return {str(label): rle.to_coco() for label, rle in segments.items() if label != IGNORE_ID}


def class_fields(
    class_id: int | None, score: float, proposals: Sequence[tuple[str, float]], table: ClassTable
) -> dict[str, Any]:
    """What SSA adds to an annotation of SA-1B.

    Args:
        class_id: of the mask; None if it has no class.
        score: how sure it is, 0 to 1; nan where nobody knows, null in the file.
        proposals: names of the best classes with their scores, best first.
        table: gives the mask's class its name.
    """
    return {
        "class_id": class_id,
        "class_name": None if class_id is None else table.name_of(class_id),
        "class_score": _known(score),
        "class_proposals": [name for name, _ in proposals],
        "class_proposal_scores": [_known(share) for _, share in proposals],
    }


def _known(share: float) -> float | None:
    """A share as JSON has it, which knows no nan."""
    return None if math.isnan(share) else share


def _named(vote: MaskVote, table: ClassTable) -> dict[str, Any]:
    proposals = [(table.name_of(item.class_id), item.share) for item in vote.proposals]
    return class_fields(vote.class_id if vote.kept else None, vote.vote_share, proposals, table)


def read_ssa_json(content: Mapping[str, Any], table: ClassTable, where: str) -> SsaResult:
    """Read what `ssa_json` wrote, or a file of Semantic-Segment-Anything itself.

    Args:
        content: the parsed JSON.
        table: the classes of its names.
        where: names the file in messages.

    Raises:
        ImageError: something is missing or of another type, masks are damaged, do not fit together,
            or have names and ids that the table does not hold.
    """
    entries = records(content, "annotations", where)
    if all("id" in entry for entry in entries):
        entries = sorted(entries, key=lambda entry: field(entry, "id", int, where))
    segments = field(content, "semantic_mask", dict, where)
    try:
        found = [_record(entry, where) for entry in entries]
        votes = [_vote(i, entry, table, where) for i, entry in enumerate(entries)]
        masks = {int(label): Rle.from_coco(segment) for label, segment in segments.items()}
        height, width = _size(content, [*(item.rle for item in found), *masks.values()], where)
        runs_of([item.rle for item in found], height, width)
        label_map = map_of_masks(masks, height, width)
        table.check(label_map, "semantic_mask")
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise ImageError(f"{where} is no result of SSA ({error}): write it again") from error
    return SsaResult(found, votes, label_map)


def _size(content: Mapping[str, Any], masks: Sequence[Rle], where: str) -> tuple[int, int]:
    if "image" in content or not masks:
        return image_size(field(content, "image", dict, where), where)
    return masks[0].height, masks[0].width


def _record(entry: Mapping[str, Any], where: str) -> MaskRecord:
    rle = Rle.from_coco(entry["segmentation"])
    row = {name: field(entry, name, (int, float), where) for name in _QUALITY}
    row |= {name: entry[name] for name in ("bbox", "point_coords", "crop_box")}
    area = field(entry, "area", (int, float), where)
    if not 0 <= area <= rle.height * rle.width:
        raise ValueError(f"area = {area} in an image of {rle.height} x {rle.width} pixels")
    row |= {"area": int(area), "height": rle.height, "width": rle.width, "rle_counts": rle.counts}
    return MaskRecord.from_row(row)


def _vote(mask_id: int, entry: Mapping[str, Any], table: ClassTable, where: str) -> MaskVote:
    name, proposals = entry["class_name"], entry["class_proposals"]
    if isinstance(proposals, str):
        proposals = [proposals]
    shares = entry.get("class_proposal_scores", [None] * len(proposals))
    noted = tuple(
        VoteProposal(_id_of(proposal, table), _share(share))
        for proposal, share in zip(proposals, shares, strict=True)
    )
    winner = noted[0].class_id if noted else IGNORE_ID
    return MaskVote(
        mask_id=mask_id,
        class_id=winner if name is None else _id_of(name, table),
        vote_share=_share(entry.get("class_score")),
        kept=name is not None,
        proposals=noted,
    )


def _share(value: object) -> float:
    """A share of votes; other programs write 1.0 as 1. null is nan, one that nobody knows."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no share of votes")
    return float(value)


def _id_of(name: object, table: ClassTable) -> int:
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no name of a class")
    return table.id_of(name.strip())  # upstream's ADE20K has a "bed " with a space
