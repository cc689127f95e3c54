"""Predictions of all prediction heads as one stack; the last layer's is the first."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seg_assets.modeling.seem.features import ImageFeatures, Prediction
from seg_assets.training.seem.mask_terms import CellMasks, MaskTerms, PointMasks
from seg_assets.training.seem.params import PointParams


@dataclass(frozen=True, eq=False)
class HeadStack:
    """Of Q queries for each of B images.

    Attributes:
        logits: (heads, B, Q, classes + 1).
        captions: (heads, B, Q, hidden).
        embeddings: (heads, B, Q, mask_dim).
    """

    logits: Tensor
    captions: Tensor
    embeddings: Tensor

    @classmethod
    def of(cls, prediction: Prediction) -> "HeadStack":
        """Stack a prediction of one row per image, which has its auxiliary ones."""
        heads = [prediction, *prediction.auxiliary]
        return cls(
            torch.stack([head.logits for head in heads]),
            torch.stack([head.captions for head in heads]),
            torch.stack([head.mask_embeddings for head in heads]),
        )


def mask_terms(
    embeddings: Tensor,
    features: ImageFeatures,
    masks: Tensor,
    points: PointParams | None,
    seeds: Tensor,
) -> MaskTerms:
    """The masks of queries against true ones, compared where the parameters say.

    Args:
        embeddings: (heads, B, Q, mask_dim).
        features: of the B images.
        masks: (B, N, H, W) bool.
        points: sampled points, or None for all cells.
        seeds: (B,) int64.
    """
    if points is None:
        return CellMasks(embeddings, features.mask_features, masks)
    return PointMasks(embeddings, features.mask_features, masks, points, seeds.tolist())
