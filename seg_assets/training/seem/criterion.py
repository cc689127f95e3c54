"""The three tasks' loss terms for one batch."""

from collections.abc import Mapping

import torch
from torch import Tensor

from seg_assets.modeling.seem.features import ImageFeatures
from seg_assets.modeling.seem.layers import full_precision, unit
from seg_assets.modeling.seem.postprocess import MAX_TEXT_SCALE
from seg_assets.training.seem.batch import SeemBatch
from seg_assets.training.seem.heads import HeadStack, mask_terms
from seg_assets.training.seem.losses import (
    class_sums,
    class_weight,
    named_terms,
    object_classes,
    per_head,
    query_sums,
    shared_targets,
)
from seg_assets.training.seem.matcher import Pairs, match, total_cost
from seg_assets.training.seem.params import SeemTaskParams

CLASS_WEIGHT, TARGETS, TEXTS, PROMPTS = "class_weight", "targets", "texts", "prompts"


def batch_counts(batch: SeemBatch, queries: int, params: SeemTaskParams) -> dict[str, float]:
    """What the terms of a batch are means over."""
    return {
        CLASS_WEIGHT: class_weight(batch.class_ids, queries, params.weights.no_object),
        TARGETS: float(batch.valid.sum(1).clamp(max=queries).sum()),
        TEXTS: float(batch.text_valid.sum(1).clamp(max=queries).sum()),
        PROMPTS: float(batch.prompt_valid.sum()),
    }


def object_terms(
    stack: HeadStack,
    features: ImageFeatures,
    batch: SeemBatch,
    params: SeemTaskParams,
    counts: Mapping[str, float],
) -> tuple[dict[str, Tensor], Pairs]:
    """Every target has a query that says its class and paints its mask; the others say nothing.

    Args:
        stack: of the object queries.
        features: of the images.
        batch: the images.
        params: of the training.
        counts: of the step.

    Returns:
        The terms loss_mask_{ce,bce,dice}_{head}, and which query answers for which target.
    """
    heads, _, queries, classes = stack.logits.shape
    masks = mask_terms(stack.embeddings, features, batch.masks, params.points, batch.seeds)
    known = batch.class_ids.clamp(min=0)[None, :, None].expand(heads, -1, queries, -1)
    probability = stack.logits.detach().softmax(-1).gather(-1, known)
    pairs = match(total_cost(params.costs, probability, *masks.costs()), batch.valid)
    bce, dice = masks.losses(pairs)
    wanted = object_classes(batch.class_ids, pairs, heads, queries, classes - 1)
    parts = {
        "ce": class_sums(stack.logits, wanted, params.weights.no_object),
        "bce": per_head(bce, pairs, heads),
        "dice": per_head(dice, pairs, heads),
    }
    count = {"ce": counts[CLASS_WEIGHT], "bce": counts[TARGETS], "dice": counts[TARGETS]}
    return named_terms("mask", parts, count, params.weights), pairs


def grounding_terms(
    stack: HeadStack,
    sentences: Tensor,
    logit_scale: Tensor,
    features: ImageFeatures,
    batch: SeemBatch,
    params: SeemTaskParams,
    counts: Mapping[str, float],
) -> dict[str, Tensor]:
    """Every text has a query that resembles it and paints what it means.

    Args:
        stack: of the queries that read the texts.
        sentences: (B, T, hidden), not normalised.
        logit_scale: logarithm of the factor on cosines.
        features: of the images.
        batch: the images.
        params: of the training.
        counts: of the step.

    Returns:
        The terms loss_grounding_{ce,bce,dice}_{head}.
    """
    heads, _, queries, _ = stack.captions.shape
    scale = logit_scale.exp().clamp(max=MAX_TEXT_SCALE)
    cosine = unit(stack.captions) @ unit(full_precision(sentences)).mT
    similarity = scale * full_precision(cosine)  # (heads, B, Q, T)
    masks = mask_terms(stack.embeddings, features, batch.text_masks, params.points, batch.seeds)
    probability = similarity.detach().softmax(2)
    pairs = match(total_cost(params.costs, probability, *masks.costs()), batch.text_valid)
    bce, dice = masks.losses(pairs)
    wanted = shared_targets(batch.same_text, pairs, heads, queries)
    factor = torch.where(batch.free_text, params.weights.free_text, params.weights.class_text)
    weight = factor[:, None] * batch.text_valid
    parts = {
        "ce": query_sums(similarity, wanted, weight),
        "bce": per_head(bce, pairs, heads),
        "dice": per_head(dice, pairs, heads),
    }
    return named_terms("grounding", parts, dict.fromkeys(parts, counts[TEXTS]), params.weights)
