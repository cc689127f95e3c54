"""What is known to be true of one image: classes, segments, objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class TrueObject:
    """One annotated object; objects may overlap.

    Attributes:
        class_id: in the reader's class table.
        counts: its mask as COCO's compressed run lengths, of the image's height and width.
        crowd: a group whose members are not told apart.
        area: as the data set records it, which need not be whole; None for the mask's pixels.
    """

    class_id: int
    counts: bytes
    crowd: bool = False
    area: float | None = None


@dataclass(frozen=True, eq=False)
class ImageTruth:
    """The ground truth of one image.

    Attributes:
        label_map: (H, W) uint8 class ids of the reader's table, 255 = no label.
        segment_ids: (H, W) int32 segments, which do not overlap, 0 = none; None where the format
            knows classes only.
        segment_classes: class id by segment id, of each segment of the map; {} without a map.
        crowds: ids of the segments that are groups.
        objects: countable things, for mask AP; None where the format knows none.
    """

    label_map: np.ndarray
    segment_ids: np.ndarray | None = None
    segment_classes: Mapping[int, int] = field(default_factory=dict)
    crowds: frozenset[int] = frozenset()
    objects: tuple[TrueObject, ...] | None = None
