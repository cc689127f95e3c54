"""Which class scores are added up before the best is chosen.

The reference pipeline takes the best of the source classes and translates it. Where the target
table is coarser, its classes should rather compete with all that belongs to them: a pixel that is
0.3 grass, 0.25 dirt and 0.35 sand is ground, whatever single class comes first.
"""

from dataclasses import dataclass

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.classes.table import IGNORE_ID


@dataclass(frozen=True, eq=False)
class ScoreGroups:
    """Columns of scores, each the sum over some source classes.

    First come the target classes that are reached, by ascending id. A source class without a
    counterpart has a column of its own: it can win, and then there is no label; so a map that
    joins no classes changes no result.

    Attributes:
        column: (C,) int64, the column of each source class.
        labels: (G,) uint8, what a column stands for; 255 for classes without a counterpart.
    """

    column: np.ndarray
    labels: np.ndarray

    @classmethod
    def single(cls, classes: int) -> "ScoreGroups":
        """Every class for itself; `classes` is at most 255."""
        return cls(np.arange(classes), np.arange(classes).astype(np.uint8))

    @classmethod
    def of(cls, class_map: ClassMap) -> "ScoreGroups":
        """The groups of a map from source to target classes."""
        targets = class_map.lut[: len(class_map.source)]
        reached = np.unique(targets[targets != IGNORE_ID])
        column = np.searchsorted(reached, targets)
        alone = np.flatnonzero(targets == IGNORE_ID)
        column[alone] = len(reached) + np.arange(len(alone))
        labels = np.concatenate([reached, np.full(len(alone), IGNORE_ID, np.uint8)])
        return cls(column.astype(np.int64), labels)

    def add(self, values: np.ndarray) -> np.ndarray:
        """Add up (..., C) -> (..., G) float64, source classes ascending."""
        sums = np.zeros((*values.shape[:-1], len(self.labels)))
        for source, column in enumerate(self.column):
            sums[..., column] += values[..., source]
        return sums
