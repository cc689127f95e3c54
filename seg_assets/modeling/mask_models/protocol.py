"""What a network must offer so that the generator and the predictor can ask it for masks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from seg_assets.modeling.mask_models.frame import MaskFrame

KeepScores = Callable[[torch.Tensor], torch.Tensor]
"""Predicted IoUs, (N, M) float32 -> which masks are wanted, (N, M) bool."""


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """What an image encoder makes of one image.

    Attributes:
        features: Whatever the model's decoder needs, on the model's device. For SAM (1, C, h, w).
        frame: Where the image lies in the model's input.
    """

    features: Any
    frame: MaskFrame


@dataclass(frozen=True, eq=False)
class PointMasks:
    """Wanted masks of one batch of points.

    Attributes:
        logits: (K, rows, columns) float32 on the model's device. Rows below and columns right of
            the image may be missing: those that are there begin at the frame's top left.
        predicted_ious: (K,) float32.
        points: Index of each mask's point, (K,) int64, ascending.
    """

    logits: torch.Tensor
    predicted_ious: torch.Tensor
    points: torch.Tensor


class MaskModel(Protocol):
    """A promptable segmentation network in evaluation mode.

    Attributes:
        mask_threshold: A pixel belongs to a mask where its logit is greater.
        candidates: Masks per prompt in multimask mode.
        logits_size: Rows and columns of the low-resolution logits.
    """

    mask_threshold: float
    candidates: int
    logits_size: tuple[int, int]

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        ...

    def embed(self, images: Sequence[np.ndarray]) -> list[ImageEmbedding]:
        """Encode images of any sizes, each (H, W, 3) uint8 RGB, in one batch."""
        ...

    def decode(
        self,
        embedding: ImageEmbedding,
        *,
        points: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        boxes: torch.Tensor | None = None,
        mask_logits: torch.Tensor | None = None,
        multimask: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode the prompts of N objects together.

        Args:
            embedding: Of the image.
            points: x, y in the model's input (`MaskFrame.to_input`), (N, P, 2) float, on the
                model's device as all tensors here. Points and labels come together.
            labels: 1 on the object, 0 beside it, (N, P) integer.
            boxes: x0, y0, x1, y1 in the model's input, (N, 4) float.
            mask_logits: Low-resolution logits of an earlier decoding, (N, rows, columns) float32.
            multimask: All candidates for an ambiguous prompt, else the one for a clear prompt.

        Returns:
            Logits, (N, candidates or 1, rows, columns), and predicted IoUs, (N, candidates or 1),
            both float32.
        """
        ...

    def decode_points(
        self,
        embedding: ImageEmbedding,
        points: torch.Tensor,
        keep: KeepScores,
        points_per_batch: int | None = None,
    ) -> Iterator[PointMasks]:
        """Decode single points, each an object, for the masks whose scores are good enough.

        Args:
            embedding: Of the image.
            points: x, y in the model's input, (N, 2) float32, on the model's device.
            keep: Which of the candidates are wanted; asked before the masks are computed where the
                network allows it.
            points_per_batch: Points decoded together at most; None leaves the choice to the model.
        """
        ...
