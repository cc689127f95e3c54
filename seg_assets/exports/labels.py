"""What the store says about an image: its map, its masks, their names, and whose a pixel is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from seg_assets.classes.table import IGNORE_ID
from seg_assets.masks.records import MaskRecord
from seg_assets.storage.png import decode_label_map


@dataclass(frozen=True)
class MaskName:
    """What a mask is called, and why.

    Attributes:
        class_id: in the class table of the maps; None if the mask has no label.
        score: how sure it is, 0 to 1: the probability of SEEM's answer, or the share of the vote.
        proposals: the best candidates by name with their scores, best first.
    """

    class_id: int | None
    score: float
    proposals: tuple[tuple[str, float], ...]


class MaskNaming(Protocol):
    """How the masks of one image were named."""

    def owners(self, labels: "ImageLabels") -> np.ndarray:
        """Whose each pixel is, see `ImageLabels.owners`."""
        ...

    def names(self, labels: "ImageLabels") -> Mapping[int, MaskName]:
        """The masks' names by mask id."""
        ...


class ImageLabels:
    """The labels of one image of H x W pixels; read, decoded and painted when they are asked for.

    Args:
        read_png: gives the label map's PNG.
        read_records: gives the masks.
        naming: how the masks got their names; None where they have none.
    """

    def __init__(
        self,
        read_png: Callable[[], bytes],
        read_records: Callable[[], tuple[MaskRecord, ...]],
        naming: MaskNaming | None,
    ) -> None:
        self._read_png = read_png
        self._read_records = read_records
        self._naming = naming

    @cached_property
    def label_png(self) -> bytes:
        """The label map as an indexed PNG in the classes' colours."""
        return self._read_png()

    @cached_property
    def label_map(self) -> np.ndarray:
        """(H, W) uint8 class ids, 255 = no label."""
        return decode_label_map(self.label_png)

    @cached_property
    def records(self) -> tuple[MaskRecord, ...]:
        """The masks; a mask's id is its index."""
        return self._read_records()

    @cached_property
    def owners(self) -> np.ndarray | None:
        """(H, W) int32: id + 1 of the mask whose label a pixel shows; 0 = that of no mask.

        None where the maps are not made of masks (SEEM's own).
        """
        return None if self._naming is None else self._naming.owners(self)

    @cached_property
    def names(self) -> Mapping[int, MaskName]:
        """The masks' names by mask id; masks that smaller ones cover completely may be missing."""
        return {} if self._naming is None else self._naming.names(self)

    @cached_property
    def shown_classes(self) -> Mapping[int, int]:
        """The class in which each mask is painted, for the masks that have pixels and a label.

        All pixels that a mask owns have one class, so any of them says which.
        """
        if self.owners is None:
            return {}
        shown = np.full(int(self.owners.max(initial=0)) + 1, IGNORE_ID, np.uint8)
        shown[self.owners.ravel()] = self.label_map.ravel()
        painted = np.flatnonzero(shown[1:] != IGNORE_ID)
        return {mask_id: int(shown[mask_id + 1]) for mask_id in painted.tolist()}
