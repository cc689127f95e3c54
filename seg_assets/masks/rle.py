"""Binary masks as COCO run lengths: small in memory, on disk, and in other people's tools."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pycocotools import mask as pycocotools_mask

from seg_assets.data.run_lengths import MaskRuns, paint_ends, read_ends, read_mask_runs
from seg_assets.errors import InputError

_coco: Any = pycocotools_mask  # its type hints leave out half of what its functions accept


@dataclass(frozen=True)
class Rle:
    """A binary mask as compressed run lengths over its columns (COCO's format).

    Attributes:
        height: Rows of the mask.
        width: Columns of the mask.
        counts: COCO's compressed run lengths, ASCII.
    """

    height: int
    width: int
    counts: bytes

    @classmethod
    def encode(cls, mask: np.ndarray) -> "Rle":
        """Encode a mask, (H, W) bool, or uint8 where every value but 0 belongs to the mask.

        Raises:
            InputError: The array is something else.
        """
        if mask.ndim != 2 or mask.dtype not in (np.bool_, np.uint8):
            raise InputError(
                f"a mask to encode must be (H, W) bool or uint8, got {mask.dtype} of {mask.shape}"
            )
        height, width = mask.shape
        pixels = np.asfortranarray(mask.astype(np.bool_, copy=False)).view(np.uint8)
        return cls(height, width, _coco.encode(pixels)["counts"])

    @classmethod
    def from_coco(cls, segmentation: Mapping[str, Any]) -> "Rle":
        """Take over a COCO segmentation: size [H, W], counts as text, bytes or a list of runs.

        What the text says is not looked at before it is needed.

        Raises:
            InputError: it is something else.
        """
        try:
            height, width = (operator.index(side) for side in segmentation["size"])
            counts = segmentation["counts"]
            if isinstance(counts, list):
                runs = [operator.index(run) for run in counts]
                coded = {"size": [height, width], "counts": runs}
                counts = _coco.frPyObjects(coded, height, width)["counts"]
            text = counts.encode("ascii") if isinstance(counts, str) else bytes(memoryview(counts))
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise InputError(
                f"a mask is no COCO segmentation ({type(error).__name__}: {error}): give its size "
                "[H, W] and its counts, as text or as a list of run lengths"
            ) from error
        if height < 0 or width < 0:
            raise InputError(f"a mask has a size of {height} x {width}: give its height and width")
        return cls(height, width, text)

    def to_coco(self) -> dict[str, Any]:
        """COCO's JSON form: size [H, W] and the counts as text."""
        return {"size": [self.height, self.width], "counts": self.counts.decode("ascii")}

    def runs(self) -> np.ndarray:
        """Lengths of the runs down the columns, (N,) int64: background first, then alternating.

        Raises:
            InputError: The counts are damaged or do not add up to H x W pixels.
        """
        return np.diff(self._ends(), prepend=0)

    def _ends(self) -> np.ndarray:
        return read_ends(self.counts, self.height, self.width)

    def spans(self) -> np.ndarray:
        """Where the mask is: first pixel and pixel after the last of each run, (N, 2) int64.

        Pixels are numbered down the columns: row y, column x is x * height + y.

        Raises:
            InputError: The counts are damaged or do not add up to H x W pixels.
        """
        ends = self._ends()
        spans = ends[: len(ends) // 2 * 2].reshape(-1, 2)
        return spans[spans[:, 0] < spans[:, 1]]

    def decode(self) -> np.ndarray:
        """The mask, (H, W) bool, stored column by column.

        Raises:
            InputError: The counts are damaged or do not add up to H x W pixels.
        """
        return paint_ends(self._ends(), self.height, self.width)

    def decode_box(self, left: int, top: int, right: int, bottom: int) -> np.ndarray:
        """Rows `top` to `bottom` and columns `left` to `right` (both without the last), bool.

        Raises:
            InputError: The counts are damaged or do not add up to H x W pixels.
        """
        begin = left * self.height
        ends = self._ends().clip(begin, right * self.height) - begin
        return paint_ends(ends, self.height, right - left)[top:bottom]

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        ends = self._ends()
        inside = len(ends) // 2
        return int(ends[1::2].sum() - ends[: 2 * inside : 2].sum())

    @cached_property
    def corners(self) -> tuple[int, int, int, int]:
        """First and last column and row of the mask as x0, y0, x1, y1; all 0 for an empty mask."""
        spans = self.spans()
        if len(spans) == 0:
            return 0, 0, 0, 0
        columns, rows = np.divmod(np.stack([spans[:, 0], spans[:, 1] - 1]), self.height)
        crosses = columns[0] != columns[1]  # a run over a column's end touches bottom and top
        y0 = 0 if crosses.any() else rows[0].min()
        y1 = self.height - 1 if crosses.any() else rows[1].max()
        return int(columns[0, 0]), int(y0), int(columns[1, -1]), int(y1)


def runs_of(masks: Sequence[Rle], height: int, width: int) -> MaskRuns:
    """The runs of an image's masks.

    Args:
        masks: In any order.
        height: Rows of the image.
        width: Columns of the image.

    Raises:
        InputError: A mask has another size than the image, or its run lengths are damaged.
    """
    for i, mask in enumerate(masks):
        if (mask.height, mask.width) != (height, width):
            raise InputError(
                f"mask {i} is {mask.height} x {mask.width} pixels, its image "
                f"{height} x {width}: are they of the same image?"
            )
    return read_mask_runs([mask.counts for mask in masks], height, width)
