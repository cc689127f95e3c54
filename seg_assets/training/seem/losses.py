"""Loss terms of the three tasks, each divided by its count and weighted."""

import torch
from torch import Tensor
from torch.nn import functional as F

from seg_assets.modeling.seem.layers import full_precision
from seg_assets.training.seem.batch import NO_TARGET
from seg_assets.training.seem.matcher import Pairs
from seg_assets.training.seem.params import LossWeights

TASKS = ("mask", "grounding", "spatial")
PARTS = ("ce", "bce", "dice")


def term_names(outputs: int) -> list[str]:
    """Names of all terms of a model with so many prediction heads; 0 is the last layer's."""
    return [
        f"loss_{task}_{part}_{head}" for task in TASKS for part in PARTS for head in range(outputs)
    ]


def named_terms(
    task: str, parts: dict[str, Tensor], count: dict[str, float], weights: LossWeights
) -> dict[str, Tensor]:
    """Divide sums by their counts, weigh and name them.

    Args:
        task: one of `TASKS`.
        parts: part -> sums per head (heads,).
        count: part -> what to divide by.
        weights: of all terms.
    """
    return {
        f"loss_{task}_{part}_{head}": weights.of(task, part) * value / (count[part] or 1.0)
        for part, sums in parts.items()
        for head, value in enumerate(sums)
    }


def object_classes(class_ids: Tensor, pairs: Pairs, heads: int, queries: int, none: int) -> Tensor:
    """What each query should say.

    Args:
        class_ids: (B, N) int64 of the targets.
        pairs: matched ones.
        heads: number of prediction heads.
        queries: per image.
        none: the class id of "no object".

    Returns:
        (heads, B, Q) int64.
    """
    wanted = class_ids.new_full((heads, class_ids.shape[0], queries), none)
    found = class_ids[pairs.images, pairs.targets]
    wanted[pairs.heads, pairs.images, pairs.queries] = found
    return wanted


def class_sums(logits: Tensor, wanted: Tensor, no_object: float) -> Tensor:
    """Weighted sum of the queries' cross-entropies per head: (heads, B, Q, K + 1) -> (heads,).

    Dividing by the sum of the weights (`class_weight`) gives torch's weighted mean.
    """
    weight = logits.new_ones(logits.shape[-1])
    weight[-1] = no_object
    losses = F.cross_entropy(
        logits.flatten(0, 2), wanted.flatten(), weight=weight, reduction="none"
    )
    return losses.unflatten(0, wanted.shape).sum((1, 2))


def class_weight(class_ids: Tensor, queries: int, no_object: float) -> float:
    """Sum of the weights in `class_sums` for targets (B, N), -1 for padding."""
    matched = (class_ids != NO_TARGET).sum(1).clamp(max=queries)
    return float(matched.sum()) + no_object * float((queries - matched).sum())


def per_head(values: Tensor, pairs: Pairs, heads: int) -> Tensor:
    """Sum of P pairs' values by head: (P,) -> (heads,)."""
    return values.new_zeros(heads).index_add(0, pairs.heads, values)


def query_sums(similarity: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross-entropies over queries per head.

    Args:
        similarity: (heads, B, Q, T) of queries and prompts.
        wanted: (heads, B, Q, T), the share of each query in the target; sums to one over queries.
        weight: (B, T), 0 for padding.

    Returns:
        (heads,).
    """
    losses = -(wanted * similarity.log_softmax(2)).sum(2)
    return (losses * weight).sum((1, 2))


def shared_targets(same: Tensor, pairs: Pairs, heads: int, queries: int) -> Tensor:
    """Target shares of queries for texts; equal texts share the queries matched to any of them.

    Args:
        same: (B, T, T) bool, which texts are equal.
        pairs: matched queries and texts.
        heads: number of prediction heads.
        queries: per image.

    Returns:
        (heads, B, Q, T) float; the shares of a text sum to one, or to zero if none was matched.
    """
    images, texts = same.shape[:2]
    matched = torch.zeros(heads, images, queries, texts, device=same.device)
    matched[pairs.heads, pairs.images, pairs.queries, pairs.targets] = 1
    shared = full_precision(matched @ same.to(matched.dtype))
    return shared / shared.sum(2, keepdim=True).clamp(min=1)
