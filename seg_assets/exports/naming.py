"""How masks got their names: from SEEM's answers about regions, or by the votes of SSA."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from seg_assets.classes.table import ClassTable
from seg_assets.exports.labels import ImageLabels, MaskName
from seg_assets.labels.fusion import RegionLabel
from seg_assets.labels.ssa import MaskVote, paint_order
from seg_assets.masks.region_map import paint_regions
from seg_assets.storage.reader import ShardReader

OTHERS = "others"
"""Name of the proposal that a region is of none of SEEM's classes."""


class RegionNaming:
    """SEEM named the regions, what smaller masks leave of each mask. Implements `MaskNaming`.

    Args:
        region_labels: the shard's.
        image_id: the image.
        source: SEEM's own classes, in which it answered.
    """

    def __init__(self, region_labels: ShardReader, image_id: str, source: ClassTable) -> None:
        self._region_labels, self._image_id = region_labels, image_id
        self._source_names = (*source.names, OTHERS)

    def owners(self, labels: ImageLabels) -> np.ndarray:
        """(H, W) int32: id + 1 of the mask whose region a pixel belongs to, 0 = none."""
        region_map = paint_regions(labels.records, *labels.label_map.shape)
        return np.concatenate([[0], region_map.mask_ids + 1]).astype(np.int32)[region_map.ids]

    def names(self, labels: ImageLabels) -> Mapping[int, MaskName]:
        """The names of the masks that have a region, in the classes of the label map."""
        found = {}
        for row in self._region_labels.rows(self._image_id):
            region = RegionLabel.from_row(row)
            proposals = tuple(
                (self._source_names[item.source_id], item.score) for item in region.proposals
            )
            shown = labels.shown_classes.get(region.mask_id)
            found[region.mask_id] = MaskName(shown, region.score, proposals)
        return found


class VoteNaming:
    """A segmentor's map voted in each mask (SSA). Implements `MaskNaming`.

    Args:
        ssa_masks: the shard's.
        image_id: the image.
        table: the segmentor's classes.
    """

    def __init__(self, ssa_masks: ShardReader, image_id: str, table: ClassTable) -> None:
        self._ssa_masks, self._image_id, self._table = ssa_masks, image_id, table

    @cached_property
    def _votes(self) -> list[MaskVote]:
        rows: list[dict[str, Any]] = self._ssa_masks.rows(self._image_id)
        return [MaskVote.from_row(row) for row in rows]

    def owners(self, labels: ImageLabels) -> np.ndarray:
        """(H, W) int32: id + 1 of the mask that was painted last at a pixel, 0 = none."""
        kept = {vote.mask_id for vote in self._votes if vote.kept}
        height, width = labels.label_map.shape
        owners = np.zeros(width * height, np.int32)  # column by column, as the run lengths go
        for mask_id in paint_order(labels.records):
            if mask_id in kept:
                for start, end in labels.records[mask_id].rle.spans().tolist():
                    owners[start:end] = mask_id + 1
        return np.ascontiguousarray(owners.reshape(width, height).T)

    def names(self, labels: ImageLabels) -> Mapping[int, MaskName]:
        """The names of all masks; one that was not kept has proposals only."""
        return {
            vote.mask_id: MaskName(
                vote.class_id if vote.kept else None,
                vote.vote_share,
                tuple((self._table.names[item.class_id], item.share) for item in vote.proposals),
            )
            for vote in self._votes
        }
