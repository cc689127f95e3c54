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

from seg_assets.classes.mapping import ClassMap
from seg_assets.classes.table import IGNORE_ID
from seg_assets.errors import CheckpointError, InputError
from seg_assets.labels.confidence import ConfidenceMaps
from seg_assets.labels.logit_bands import Band, bands, padded_to_lanes
from seg_assets.labels.logit_kernels import all_scores, find_winners, rank_two, region_sums
from seg_assets.labels.logit_rounding import round_logits
from seg_assets.labels.score_groups import ScoreGroups
from seg_assets.storage.arrays import decode_float16, encode_float16

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

    def __post_init__(self) -> None:
        classes, masks = self.class_logits.shape, self.mask_logits.shape
        if len(classes) != 2 or len(masks) != 3 or classes[0] != masks[0] or 0 in classes + masks:
            raise InputError(
                f"class logits {classes} and mask logits {masks} are not of the same queries: give "
                "(K, classes + 1) and (K, h, w)"
            )
        if not 2 <= classes[1] <= IGNORE_ID + 1:
            raise InputError(
                f"class logits of {classes[1]} columns: give 1 to {IGNORE_ID} classes and "
                '"no object"'
            )

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
        mask_tolerance: float = 0.0,
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
            mask_tolerance: how much rounding may change a query's sigmoid at any pixel, beyond what
                float16 changes; 0 rounds to float16 only.

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
        masks = mask_logits[keep]
        if mask_tolerance > 0:
            masks = round_logits(masks, mask_tolerance)
        shifted = kept - kept.max(axis=1, keepdims=True)
        return cls(
            np.clip(shifted, -FLOAT16_MAX, 0).astype(np.float16),
            np.clip(masks, -FLOAT16_MAX, FLOAT16_MAX).astype(np.float16),
            padded_size,
            input_size,
            output_size,
        )

    def scores(
        self, size: tuple[int, int] | None = None, class_map: ClassMap | None = None
    ) -> np.ndarray:
        """Class scores (classes, H, W) float32, >= 0, not normalised.

        This is the large array: 1.8 GB for 133 classes and 1500 x 2250 pixels.

        Args:
            size: wanted height and width; the image's own if None.
            class_map: from the source classes; scores of classes that become one class are added.

        Returns:
            The score of each source class; with `class_map`, of each class of its target table, 0
            for those that no source class becomes.

        Raises:
            InputError: the map starts from another number of classes, or the size has no pixels.
        """
        classes = self.class_logits.shape[1] - 1 if class_map is None else len(class_map.target)
        result = np.zeros((classes, *(size or self.output_size)), np.float32)
        for start, labels, band in self.score_bands(size, class_map):
            result[labels, start : start + band.shape[1]] = band
        return result

    def score_bands(
        self, size: tuple[int, int] | None = None, class_map: ClassMap | None = None
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The same numbers some rows at a time: first row, class ids (n,), (n, rows, W) float32.

        Classes that no source class becomes are left out.
        """
        weights, groups = self._weights(class_map)
        # with all 255 classes that a table may have, none of them is "no label"
        wanted = slice(None) if class_map is None else groups.labels != IGNORE_ID
        weights, labels = np.ascontiguousarray(weights[wanted]), groups.labels[wanted]
        for band in self._bands(size):
            scores = np.empty((len(labels), band.stop - band.start, band.width), np.float32)
            all_scores(band.block, band.rows, band.columns, weights, scores)
            yield band.start, labels, scores

    def argmax(
        self, size: tuple[int, int] | None = None, class_map: ClassMap | None = None
    ) -> np.ndarray:
        """Class of the highest score, the first column on ties: (H, W) uint8.

        Equals `scores().argmax(0)`, bit for bit, but computes only the classes that may win at a
        place, and only near places where classes meet. Memory does not grow with the image beyond
        the result.

        Args:
            size: wanted height and width; the image's own if None.
            class_map: from the source classes: the scores of classes that become one class are
                added first. 255 where a class wins that the target table has no counterpart for.

        Raises:
            InputError: as `scores`.
        """
        weights, groups = self._weights(class_map)
        result = np.empty(size or self.output_size, np.uint8)
        for band in self._bands(size):
            found = np.empty((band.stop - band.start, band.width), np.int16)
            find_winners(band.block, band.rows, band.columns, weights, found)
            result[band.start : band.stop] = groups.labels[found]
        return result

    def confidence(
        self, size: tuple[int, int] | None = None, class_map: ClassMap | None = None
    ) -> ConfidenceMaps:
        """The winner's share of all scores, and its margin to the runner-up, at each pixel.

        Arguments and errors as of `argmax`, whose winner it is about; memory too.
        """
        weights, _ = self._weights(class_map)
        in_all = weights.sum(axis=0, dtype=np.float64).astype(np.float32)
        winner, margin = np.empty((2, *(size or self.output_size)), np.float32)
        for band in self._bands(size):
            ranked = np.empty((3, band.stop - band.start, band.width), np.float32)
            rank_two(band.block, band.rows, band.columns, weights, in_all, ranked)
            part = ConfidenceMaps.of(ranked)
            rows = slice(band.start, band.stop)
            winner[rows], margin[rows] = part.winner, part.margin
        return ConfidenceMaps(winner, margin)

    def region_scores(self, region: np.ndarray) -> np.ndarray:
        """Sum of each class's scores over the pixels of a region: (classes,) float64.

        Args:
            region: (H, W) bool, at the image's size.

        Raises:
            InputError: the region has another size.
        """
        if region.shape != self.output_size:
            raise InputError(
                f"a region of {region.shape} pixels does not fit an image of {self.output_size}: "
                "give it at the size of the image"
            )
        sums = np.zeros(padded_to_lanes(len(self.mask_logits)))
        rows = np.flatnonzero(region.any(axis=1))
        if len(rows):
            for band in self._bands(None, int(rows[0]), int(rows[-1]) + 1):
                inside = np.ascontiguousarray(region[band.start : band.stop], np.bool_)
                region_sums(band.block, band.rows, band.columns, inside, sums)
        return sums[: len(self._probabilities)] @ self._probabilities.astype(np.float64)

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
            InputError: the row has no queries or no classes.
        """
        queries = row["queries"]
        columns = len(row["class_logits"]) // (2 * max(queries, 1))
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

    def _groups(self, class_map: ClassMap | None) -> ScoreGroups:
        classes = self.class_logits.shape[1] - 1
        if class_map is None:
            return ScoreGroups.single(classes)
        if len(class_map.source) != classes:
            raise InputError(
                f"a class map from the {len(class_map.source)} classes of "
                f"{class_map.source.name!r} cannot group {classes} scores: give one that starts "
                "from the model's own classes"
            )
        return ScoreGroups.of(class_map)

    def _weights(self, class_map: ClassMap | None) -> tuple[np.ndarray, ScoreGroups]:
        """What each query counts for each column: (G, K) float32, queries padded with zeros."""
        groups = self._groups(class_map)
        sums = groups.add(self._probabilities.astype(np.float64))
        weights = np.zeros((len(groups.labels), padded_to_lanes(len(sums))), np.float32)
        weights[:, : len(sums)] = sums.T
        return weights, groups

    def _bands(
        self, size: tuple[int, int] | None, first: int = 0, last: int | None = None
    ) -> Iterator[Band]:
        return bands(
            self.mask_logits,
            self.padded_size,
            self.input_size,
            size or self.output_size,
            first=first,
            last=last,
        )


def class_probabilities(class_logits: np.ndarray) -> np.ndarray:
    """Softmax over all columns, without the last one ("no object"): (K, classes) float32."""
    logits = class_logits.astype(np.float64)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True))[:, :-1].astype(np.float32)
