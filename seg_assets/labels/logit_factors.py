"""SEEM's class scores of an image, kept as the two small factors that they are made of.

The score of class c at pixel x is  S[c, x] = sum over queries q of softmax(class logits of q)[c] *
sigmoid(mask logit of q at x), with the "no object" column dropped after the softmax. The dense
array has classes x H x W numbers; its factors have queries x (classes + 1) and
queries x H/4 x W/4, and rebuild it exactly.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from seg_assets.errors import CheckpointError
from seg_assets.labels.bilinear import Taps, bilinear_taps, resample
from seg_assets.storage.arrays import decode_float16, encode_float16

# Pixels rebuilt at once: 101 queries and 133 classes then take some 12 MB of working memory. It
# fixes how the sums are grouped, hence their last bits: `argmax` and `scores` must share it.
PIXELS_PER_BAND = 8192
FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True, eq=False)
class LogitFactors:
    """The factors of the class scores as stored; what derives from them is rebuilt bit by bit.

    Attributes:
        class_logits: (K, classes + 1) float16, "no object" last, shifted so that each query's
            largest is 0 (softmax does not see the shift; near 0 is where float16 is precise).
        mask_logits: (K, h, w) float16, a quarter of the padded size.
        padded_size: (height, width) of the model's input with its padding.
        input_size: (height, width) of the model's input without it; <= `padded_size`.
        output_size: (height, width) of the image, and of all that is rebuilt.
    """

    class_logits: np.ndarray
    mask_logits: np.ndarray
    padded_size: tuple[int, int]
    input_size: tuple[int, int]
    output_size: tuple[int, int]

    @classmethod
    def of(
        cls,
        class_logits: np.ndarray,
        mask_logits: np.ndarray,
        *,
        padded_size: tuple[int, int],
        input_size: tuple[int, int],
        output_size: tuple[int, int],
        tolerance: float = 0.0,
    ) -> "LogitFactors":
        """Keep the queries that say something, in float16.

        A query adds to no score more than its probability of being any class at all. The queries
        with the smallest such probabilities are dropped while these add up to at most `tolerance`:
        no score falls by more than that, and none rises. At least one query stays.

        Args:
            class_logits: (Q, classes + 1) float, "no object" last.
            mask_logits: (Q, h, w) float.
            padded_size: size of the model's input with its padding.
            input_size: size of the model's input without it.
            output_size: size of the image.
            tolerance: what a score may lose in total.

        Raises:
            CheckpointError: a logit is not a number or infinite: no image makes a sound model say
                so, and its scores would name every pixel after the first class.
        """
        if not (np.isfinite(class_logits).all() and np.isfinite(mask_logits).all()):
            raise CheckpointError(
                "SEEM's logits are not finite: its weights are damaged, or half precision "
                "overflowed; check them with `seg-assets models verify`"
            )
        mass = class_probabilities(class_logits).sum(axis=1, dtype=np.float64)
        order = np.argsort(mass, kind="stable")
        dropped = int(np.searchsorted(np.cumsum(mass[order]), tolerance, side="right"))
        keep = np.sort(order[min(dropped, len(mass) - 1) :])
        kept = class_logits[keep]
        shifted = kept - kept.max(axis=1, keepdims=True)
        return cls(
            np.clip(shifted, -FLOAT16_MAX, 0).astype(np.float16),
            np.clip(mask_logits[keep], -FLOAT16_MAX, FLOAT16_MAX).astype(np.float16),
            padded_size,
            input_size,
            output_size,
        )

    def scores(self) -> np.ndarray:
        """Class scores (classes, H, W) float32, >= 0, not normalised.

        This is the large array: 1.8 GB for 133 classes and 1500 x 2250 pixels.
        """
        height, width = self.output_size
        result = np.empty((self.class_logits.shape[1] - 1, height, width), np.float32)
        for start, stop, inside in self._bands():
            band = inside @ self._probabilities
            result[:, start:stop] = band.reshape(stop - start, width, -1).transpose(2, 0, 1)
        return result

    def argmax(self) -> np.ndarray:
        """Class of the highest score, the lowest id on ties: (H, W) uint8.

        Equals `scores().argmax(0)`. Works band by band: memory does not grow with the image beyond
        the result.
        """
        height, width = self.output_size
        result = np.empty((height, width), np.uint8)
        for start, stop, inside in self._bands():
            band = inside @ self._probabilities
            result[start:stop] = band.argmax(axis=1).reshape(stop - start, width)
        return result

    def region_scores(self, region: np.ndarray) -> np.ndarray:
        """Sum of each class's scores over the pixels of a region: (classes,) float64.

        Args:
            region: (H, W) bool.
        """
        total = np.zeros(self.class_logits.shape[0])
        rows = np.flatnonzero(region.any(axis=1))
        if len(rows):
            for start, stop, inside in self._bands(int(rows[0]), int(rows[-1]) + 1):
                chosen = inside[region[start:stop].ravel()]
                total += chosen.sum(axis=0, dtype=np.float64)
        return total @ self._probabilities.astype(np.float64)

    def to_row(self, image_id: str) -> dict[str, Any]:
        """One row of the `seem_logits` table."""
        queries, mask_height, mask_width = self.mask_logits.shape
        return {
            "image_id": image_id,
            "height": self.output_size[0],
            "width": self.output_size[1],
            "padded_height": self.padded_size[0],
            "padded_width": self.padded_size[1],
            "input_height": self.input_size[0],
            "input_width": self.input_size[1],
            "queries": queries,
            "mask_height": mask_height,
            "mask_width": mask_width,
            "class_logits": encode_float16(self.class_logits),
            "mask_logits": encode_float16(self.mask_logits),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "LogitFactors":
        """Read a row of the `seem_logits` table back.

        Raises:
            StoreError: the row's bytes do not have the row's sizes.
        """
        queries = row["queries"]
        columns = len(row["class_logits"]) // (2 * queries)
        return cls(
            decode_float16(row["class_logits"], (queries, columns)),
            decode_float16(row["mask_logits"], (queries, row["mask_height"], row["mask_width"])),
            padded_size=(row["padded_height"], row["padded_width"]),
            input_size=(row["input_height"], row["input_width"]),
            output_size=(row["height"], row["width"]),
        )

    @cached_property
    def _probabilities(self) -> np.ndarray:
        return class_probabilities(self.class_logits)

    def _stages(self, axis: int) -> list[Taps]:
        """From the masks' size to the padded input, without its padding, to the image."""
        source = self.mask_logits.shape[1 + axis]
        stages = [bilinear_taps(source, self.padded_size[axis])]
        if self.input_size[axis] != self.output_size[axis]:
            stages.append(bilinear_taps(self.input_size[axis], self.output_size[axis]))
        return stages

    def _bands(
        self, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield first row, end row, and sigmoids of the mask logits (pixels, K) float32.

        Bands always begin at multiples of their height; those outside rows first..last - 1 are
        skipped.
        """
        height, width = self.output_size
        rows, columns = self._stages(0), self._stages(1)
        step = max(1, PIXELS_PER_BAND // width)
        for start in range(first // step * step, height if last is None else last, step):
            stop = min(start + step, height)
            narrow = resample(self._read_rows, rows, start, stop, axis=0)
            band = resample(lambda a, b, n=narrow: n[:, a:b], columns, 0, width, axis=1)
            yield start, stop, sigmoid(band).reshape(-1, band.shape[-1])

    def _read_rows(self, start: int, stop: int) -> np.ndarray:
        """Mask logits of some rows, queries last: (rows, w, K) float32."""
        return self.mask_logits[:, start:stop].transpose(1, 2, 0).astype(np.float32, order="C")


def class_probabilities(class_logits: np.ndarray) -> np.ndarray:
    """Softmax over all columns, without the last one ("no object"): (K, classes) float32."""
    logits = class_logits.astype(np.float64)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True))[:, :-1].astype(np.float32)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) in place."""
    np.negative(values, out=values)
    with np.errstate(over="ignore"):  # exp overflows to infinity, whose reciprocal is the right 0
        np.exp(values, out=values)
    values += 1
    return np.reciprocal(values, out=values)
