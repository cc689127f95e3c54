"""Masks as runs of pixels: read from COCO's run lengths once, then compared without painting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from seg_assets.errors import InputError

CocoRle = Mapping[str, Any]
"""A mask as COCO writes it: `size` [height, width] and compressed `counts`, bytes or text."""


@dataclass(frozen=True, eq=False)
class RunMasks:
    """Masks of one image.

    Pixels are numbered down the columns: row y, column x is x * height + y.

    Attributes:
        height: of the image.
        width: of the image.
        spans: (S, 2) int64, first pixel and pixel after the last of each run of each mask.
        offsets: (N + 1,) int64; mask n has the spans from offsets[n] to offsets[n + 1].
        areas: (N,) int64, pixels of each mask.
        boxes: (N, 4) int64, first column and row, last column and row; -1 as last of an empty mask.
    """

    height: int
    width: int
    spans: np.ndarray
    offsets: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.areas)

    @classmethod
    def read(cls, masks: Sequence[CocoRle], subject: str = "the masks") -> "RunMasks":
        """Read run lengths, checking them on the way.

        Args:
            masks: all of one size; may overlap. Without any, the image is 0 x 0 pixels large.
            subject: what they are, for messages.

        Raises:
            InputError: the masks differ in size, or run lengths are damaged.
        """
        sizes = {tuple(mask["size"]) for mask in masks}
        if len(sizes) > 1:
            raise InputError(
                f"{subject} have the sizes {sorted(sizes)}; give masks of one image at one size"
            )
        height, width = (int(side) for side in (sizes.pop() if sizes else (0, 0)))
        texts = [_ascii(mask["counts"], subject) for mask in masks]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        text = np.frombuffer(b"".join(texts), np.uint8)
        spans = np.empty((len(text) // 2 + len(texts), 2), np.int64)
        offsets = np.zeros(len(texts) + 1, np.int64)
        areas = np.zeros(len(texts), np.int64)
        boxes = np.empty((len(texts), 4), np.int64)
        damaged = _read(text, ends, height, width, spans, offsets, areas, boxes)
        if damaged >= 0:
            raise InputError(
                f"{subject}: the run lengths of number {damaged} do not describe a mask of "
                f"{height} x {width} pixels; they are damaged or of an image of another size"
            )
        return cls(height, width, spans[: offsets[-1]], offsets, areas, boxes)

    def overlaps(
        self,
        others: "RunMasks",
        kinds: np.ndarray | None = None,
        other_kinds: np.ndarray | None = None,
    ) -> np.ndarray:
        """Count the pixels that each pair of masks shares.

        Args:
            others: M masks of the same image.
            kinds: (N,) int64; pairs of different kinds are not looked at and give 0.
            other_kinds: (M,) int64, of `others`.

        Returns:
            (N, M) int64.

        Raises:
            InputError: the two are of images of different sizes.
        """
        shared = np.zeros((len(self), len(others)), np.int64)
        if shared.size == 0:
            return shared
        if (self.height, self.width) != (others.height, others.width):
            raise InputError(
                f"masks of {self.height} x {self.width} pixels cannot be compared with masks of "
                f"{others.height} x {others.width}; give masks of one image at one size"
            )
        kinds = np.zeros(len(self), np.int64) if kinds is None else kinds
        other_kinds = np.zeros(len(others), np.int64) if other_kinds is None else other_kinds
        if len(kinds) != len(self) or len(other_kinds) != len(others):
            raise InputError("masks and their kinds differ in number; give one kind per mask")
        _overlap(
            *(self.spans, self.offsets, self.boxes, kinds),
            *(others.spans, others.offsets, others.boxes, other_kinds),
            shared,
        )
        return shared

    def ious(self, others: "RunMasks") -> np.ndarray:
        """Intersection over union of each pair, (N, M) float64; 0 for two empty masks.

        Raises:
            InputError: the two are of images of different sizes.
        """
        shared = self.overlaps(others)
        union = self.areas[:, None] + others.areas[None] - shared
        return shared / np.maximum(union, 1)


def _ascii(counts: object, subject: str) -> bytes:
    if isinstance(counts, bytes):
        return counts
    if isinstance(counts, str):
        return counts.encode("ascii", "replace")  # what is not ASCII is found to be damaged
    raise InputError(
        f"{subject}: counts of type {type(counts).__name__} are not compressed run lengths; give "
        "COCO's compressed text"
    )


@njit(cache=True, nogil=True)
def _read(text, ends, height, width, spans, offsets, areas, boxes):
    """Read all texts; returns the number of the first damaged one, or -1.

    A number is a chain of characters from 48 on with five bits each, lowest first: bit 5 says that
    more follow, bit 4 of the last one is the sign. From the fourth on, a number is the difference
    to the one two before it. Source: rleFrString in the COCO API's maskApi.c.
    """
    pixels = height * width
    count = 0
    for mask in range(len(ends) - 1):
        at, stop = ends[mask], ends[mask + 1]
        x0, y0, x1, y1 = width, height, -1, -1
        position = runs = one_before = two_before = 0
        while at < stop:
            value = shift = 0
            more = True
            while more:
                if at == stop or text[at] < 48 or text[at] > 111 or shift > 55:
                    return mask
                digit = np.int64(text[at]) - 48
                at += 1
                value |= (digit & 31) << shift
                shift += 5
                more = digit & 32 != 0
                if not more and digit & 16 != 0:
                    value -= 1 << shift
            if runs > 2:
                value += two_before
            if value < 0 or value > pixels - position:
                return mask
            two_before, one_before = one_before, value
            if runs % 2 == 1 and value > 0:
                end = position + value
                spans[count, 0], spans[count, 1] = position, end
                count += 1
                areas[mask] += value
                first, last = position // height, (end - 1) // height
                x0, x1 = min(x0, first), max(x1, last)
                if first == last:
                    y0 = min(y0, position - first * height)
                    y1 = max(y1, end - 1 - first * height)
                else:  # over a column's end: touches bottom and top
                    y0, y1 = 0, height - 1
            position += value
            runs += 1
        if position != pixels:
            return mask
        offsets[mask + 1] = count
        boxes[mask, 0], boxes[mask, 1], boxes[mask, 2], boxes[mask, 3] = x0, y0, x1, y1
    return -1


@njit(cache=True, nogil=True)
def _overlap(a_spans, a_offsets, a_boxes, a_kinds, b_spans, b_offsets, b_boxes, b_kinds, shared):
    """Fill `shared` (N, M): two sorted lists of spans are walked through side by side."""
    for n in range(len(a_kinds)):
        for m in range(len(b_kinds)):
            if a_kinds[n] != b_kinds[m]:
                continue
            if a_boxes[n, 0] > b_boxes[m, 2] or b_boxes[m, 0] > a_boxes[n, 2]:
                continue
            if a_boxes[n, 1] > b_boxes[m, 3] or b_boxes[m, 1] > a_boxes[n, 3]:
                continue
            i, j = a_offsets[n], b_offsets[m]
            i_end, j_end = a_offsets[n + 1], b_offsets[m + 1]
            total = 0
            while i < i_end and j < j_end:
                a_end, b_end = a_spans[i, 1], b_spans[j, 1]
                length = min(a_end, b_end) - max(a_spans[i, 0], b_spans[j, 0])
                if length > 0:
                    total += length
                if a_end <= b_end:
                    i += 1
                if b_end <= a_end:
                    j += 1
            shared[n, m] = total
