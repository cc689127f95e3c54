"""Comparing predicted with true masks: on all cells of the stride-4 map, or on sampled points.

A mask is the product of an embedding and the mask features, and reading a map between its cells is
linear as well. So features are read at the points first, and no mask is ever made in full.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from seg_assets.modeling.seem.layers import full_precision
from seg_assets.training.seem.matcher import Pairs
from seg_assets.training.seem.params import PointParams


def bce_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross-entropy of (..., P) logits and targets 0..1 -> (...)."""
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(-1)


def dice_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Dice loss with linear denominator, smoothed by one: (..., P) twice -> (...)."""
    soft = logits.sigmoid()
    return 1 - (2 * (soft * targets).sum(-1) + 1) / (soft.sum(-1) + targets.sum(-1) + 1)


def pairwise_costs(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both losses of every query against every target.

    Always in full precision: sums over thousands of points do not fit into float16.

    Args:
        logits: (heads, B, Q, P) float32.
        targets: (B, N, P) float32, 0..1.

    Returns:
        BCE and dice, each (heads, B, Q, N).
    """
    with torch.autocast(logits.device.type, enabled=False):
        # -log(sigmoid(x)) = softplus(-x) = softplus(x) - x
        overlap = logits @ targets.mT
        bce = (F.softplus(logits).sum(-1)[..., None] - overlap) / logits.shape[-1]
        soft = logits.sigmoid()
        whole = soft.sum(-1)[..., None] + targets.sum(-1)[:, None]
        return bce, 1 - (2 * soft @ targets.mT + 1) / (whole + 1)


class MaskTerms(ABC):
    """Masks of (heads, B, Q) queries against N targets for each of B images."""

    @abstractmethod
    def costs(self) -> tuple[Tensor, Tensor]:
        """BCE and dice of every query against every target, each (heads, B, Q, N); no gradient."""

    @abstractmethod
    def losses(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """BCE and dice of P pairs, each (P,)."""


class CellMasks(MaskTerms):
    """On all cells of the stride-4 map; a true mask is its share of each cell."""

    def __init__(self, embeddings: Tensor, features: Tensor, masks: Tensor) -> None:
        """Compute the maps once.

        Args:
            embeddings: (heads, B, Q, C).
            features: mask features (B, C, h, w).
            masks: (B, N, H, W) bool, at the size of the padded image.
        """
        self.logits = full_precision(embeddings @ features.flatten(2).to(embeddings.dtype))
        size = features.shape[-2], features.shape[-1]
        self.targets = F.adaptive_avg_pool2d(masks.to(self.logits.dtype), size).flatten(2)

    def costs(self) -> tuple[Tensor, Tensor]:
        """BCE and dice of every query against every target."""
        return pairwise_costs(self.logits.detach(), self.targets)

    def losses(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """BCE and dice of P pairs."""
        logits = self.logits[pairs.heads, pairs.images, pairs.queries]
        targets = self.targets[pairs.images, pairs.targets]
        return bce_of(logits, targets), dice_of(logits, targets)


class PointMasks(MaskTerms):
    """On points: shared ones for the costs, for the losses own ones where masks are undecided.

    Points are drawn from a seed per image, so an image has the same ones in any batch.
    """

    def __init__(
        self,
        embeddings: Tensor,
        features: Tensor,
        masks: Tensor,
        params: PointParams,
        seeds: list[int],
    ) -> None:
        """Take what `CellMasks` takes, and a seed for each of the B images."""
        self.embeddings, self.features, self.params = embeddings, features, params
        self.masks = masks.to(torch.float32)
        self.seeds = seeds

    def costs(self) -> tuple[Tensor, Tensor]:
        """BCE and dice of every query against every target."""
        embeddings, features = self.embeddings.detach(), self.features.detach()
        shape = (1, self.params.count, 2)
        points = torch.cat([torch.rand(shape, generator=g) for g in self._generators(0)])
        points = points.to(features.device)
        logits = embeddings @ read_points(features, points).mT.to(embeddings.dtype)
        return pairwise_costs(full_precision(logits), read_points(self.masks, points).mT)

    def losses(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """BCE and dice of P pairs; one head and image at a time, which bounds memory."""
        empty = self.embeddings.new_zeros(0, dtype=torch.float32)
        bce, dice, order = [empty], [empty], [pairs.heads.new_zeros(0)]
        for head in range(self.embeddings.shape[0]):
            for image, generator in enumerate(self._generators(1 + head)):
                rows = ((pairs.heads == head) & (pairs.images == image)).nonzero()[:, 0]
                if not len(rows):
                    continue
                targets = pairs.targets[rows]
                embeddings = self.embeddings[head, image, pairs.queries[rows]]
                features = self.features[image : image + 1]
                points = self.loss_points(embeddings, features, targets, generator)
                logits = logits_at(embeddings, features, points)
                truth = read_points(self.masks[image, targets][:, None], points)[..., 0]
                bce.append(bce_of(logits, truth))
                dice.append(dice_of(logits, truth))
                order.append(rows)
        back = torch.cat(order).argsort()
        return torch.cat(bce)[back], torch.cat(dice)[back]

    def loss_points(
        self, embeddings: Tensor, features: Tensor, targets: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Points of K masks, (K, count, 2); those of a target depend on nothing but the seed."""
        params = self.params
        many = int(params.count * params.oversample)
        certain = params.count - round(params.uncertain * params.count)
        # for every target, matched or not: row n is the same whatever follows it
        shape = (self.masks.shape[1], many + certain, 2)
        drawn = torch.rand(shape, generator=generator).to(features.device)[targets]
        candidates, rest = drawn[:, :many], drawn[:, many:]
        with torch.no_grad():
            logits = logits_at(embeddings, features, candidates)
        chosen = undecided(logits, params.count - certain)
        return torch.cat([candidates.gather(1, chosen[..., None].expand(-1, -1, 2)), rest], 1)

    def _generators(self, stream: int) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed * 64 + stream) for seed in self.seeds]


def undecided(logits: Tensor, count: int) -> Tensor:
    """Indices (K, count) of the logits (K, P) nearest to zero."""
    return (-logits.abs()).topk(count, dim=1).indices


def read_points(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of maps (B, C, h, w) at points (B, P, 2), x and y in 0..1 -> (B, P, C)."""
    grid = (2 * points - 1)[:, :, None].to(maps.dtype)
    values = F.grid_sample(maps, grid, mode="bilinear", align_corners=False)
    return values[..., 0].mT


def logits_at(embeddings: Tensor, features: Tensor, points: Tensor) -> Tensor:
    """Mask logits of K queries of one image, each at its own points.

    Args:
        embeddings: (K, C).
        features: (1, C, h, w).
        points: (K, P, 2) in 0..1.

    Returns:
        (K, P) float32.
    """
    flat = embeddings.to(features.dtype) @ features[0].flatten(1)  # (K, h * w)
    maps = full_precision(flat).unflatten(1, features.shape[-2:])[:, None]
    return read_points(maps, points)[..., 0]
