"""From query predictions to matched prompts, semantic, panoptic and instance results."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seg_assets.modeling.seem.features import ImageFeatures, Prediction
from seg_assets.modeling.seem.layers import full_precision, unit

MAX_TEXT_SCALE = 100.0  # CLIP's bound on the factor of a text similarity


class RegionMatch(NamedTuple):
    """The query that fits each of N mask prompts best.

    Attributes:
        similarity: (N, Q), mask embedding times mean mask feature.
        query: (N,) int64, of the largest similarity; the first one of equals.
        class_id: (N,) int64, that query's best class; the last id is "no object".
    """

    similarity: Tensor
    query: Tensor
    class_id: Tensor


@dataclass(frozen=True)
class Segment:
    """One segment of a panoptic map; `class_id` counts things first, as the class table does."""

    id: int
    is_thing: bool
    class_id: int


@dataclass(frozen=True)
class Instances:
    """Things, best first.

    Attributes:
        scores: (K,), class probability times the mean of the soft mask inside the mask.
        class_ids: (K,) int64.
        masks: (K, H, W) bool.
    """

    scores: Tensor
    class_ids: Tensor
    masks: Tensor


def to_image(
    logits: Tensor, features: ImageFeatures, size: tuple[int, int] | None = None
) -> Tensor:
    """Mask logits at stride 4 to image resolution: enlarge, cut the padding off, resize.

    Args:
        logits: (..., H' / 4, W' / 4).
        features: of the image; its sizes are used.
        size: wanted height and width; the image's own if None.

    Returns:
        (..., height, width).
    """
    height, width = features.image_size
    if not logits.numel():  # torch does not resize nothing
        return logits.new_zeros(*logits.shape[:-2], *(size or (height, width)))
    x = logits.reshape(1, -1, *logits.shape[-2:])
    x = F.interpolate(x, size=features.padded_size, mode="bilinear", align_corners=False)
    x = x[..., :height, :width]
    if size is not None and tuple(size) != (height, width):
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    return x.reshape(*logits.shape[:-2], *x.shape[-2:])


def match_region(prediction: Prediction, region_query: Tensor) -> RegionMatch:
    """The query of each mask prompt.

    Args:
        prediction: under the N prompts, or under none (one row) to match them with plain objects.
        region_query: (N, mask_dim), `RegionPrompt.query`.
    """
    count = len(region_query)
    embeddings = prediction.mask_embeddings.expand(count, -1, -1)
    similarity = (embeddings @ region_query.to(embeddings.dtype)[..., None])[..., 0]
    query = similarity.argmax(1)
    logits = prediction.logits.expand(count, -1, -1)
    class_id = logits[torch.arange(count, device=query.device), query].argmax(-1)
    return RegionMatch(similarity, query, class_id)


def match_text(
    prediction: Prediction, sentences: Tensor, logit_scale: Tensor
) -> tuple[Tensor, Tensor]:
    """The query of each sentence.

    Args:
        prediction: under N text prompts, or under one that joins them.
        sentences: (N, hidden), not normalised.
        logit_scale: scalar, logarithm of the factor.

    Returns:
        Similarity (N, Q), at most 100, and the best query (N,) int64.
    """
    scale = logit_scale.exp().clamp(max=MAX_TEXT_SCALE)
    captions = unit(prediction.captions).expand(len(sentences), -1, -1)
    directions = unit(full_precision(sentences))[..., None]
    similarity = (scale * captions @ directions)[..., 0]
    return similarity, similarity.argmax(1)


def chosen_masks(
    prediction: Prediction,
    features: ImageFeatures,
    query: Tensor,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Mask logits of one query per prompt, made for that query alone.

    Args:
        prediction: of N rows, or of one that all share; of one image.
        features: of that image.
        query: (N,) int64.
        size: wanted height and width; the image's own if None.

    Returns:
        (N, height, width).
    """
    embeddings = prediction.mask_embeddings.expand(len(query), -1, -1)
    picked = embeddings[torch.arange(len(query), device=query.device), query]
    return to_image(features.masks(picked[None])[0], features, size)


def semantic(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """Class scores of each pixel: not probabilities, their sum may exceed 1.

    Args:
        class_logits: (Q, classes + 1).
        mask_logits: (Q, H, W).

    Returns:
        (classes, H, W), not negative.
    """
    return torch.einsum("qc,qhw->chw", class_logits.softmax(-1)[:, :-1], mask_logits.sigmoid())


def confident_queries(class_logits: Tensor, score_threshold: float) -> Tensor:
    """Queries (Q, classes + 1) whose best class is an object above the threshold: (K,) int64."""
    scores, labels = class_logits.softmax(-1).max(-1)
    no_object = class_logits.shape[-1] - 1
    return ((labels != no_object) & (scores > score_threshold)).nonzero()[:, 0]


def panoptic(
    class_logits: Tensor,
    mask_logits: Tensor,
    things: Collection[int],
    *,
    score_threshold: float = 0.4,
    overlap_threshold: float = 0.8,
) -> tuple[Tensor, list[Segment]]:
    """One segment per pixel; stuff of one class is one segment.

    Args:
        class_logits: (Q, classes + 1).
        mask_logits: (Q, H, W).
        things: class ids that are counted one by one.
        score_threshold: class probability that a query must exceed.
        overlap_threshold: share of its mask that a query must own.

    Returns:
        (H, W) int32 map of segment ids, 0 = none, and the segments.
    """
    keep = confident_queries(class_logits, score_threshold)
    result = torch.zeros(mask_logits.shape[-2:], dtype=torch.int32, device=mask_logits.device)
    segments: list[Segment] = []
    if not len(keep):
        return result, segments
    scores, labels = class_logits[keep].softmax(-1).max(-1)
    soft = mask_logits[keep].sigmoid()
    owner = (scores[:, None, None] * soft).argmax(0)
    stuff: dict[int, int] = {}
    for i, class_id in enumerate(labels.tolist()):
        owned, mask = owner == i, soft[i] >= 0.5
        painted = owned & mask
        if not painted.any() or owned.sum() / mask.sum() < overlap_threshold:
            continue
        if class_id in stuff:
            result[painted] = stuff[class_id]
            continue
        segments.append(Segment(len(segments) + 1, class_id in things, class_id))
        result[painted] = len(segments)
        if class_id not in things:
            stuff[class_id] = len(segments)
    return result, segments


def instances(
    class_logits: Tensor, mask_logits: Tensor, things: Collection[int], *, top: int = 100
) -> Instances:
    """The best (query, class) pairs that are things; a query may appear under several classes.

    Args:
        class_logits: (Q, classes + 1).
        mask_logits: (Q, H, W).
        things: class ids to keep, after the choice of the best pairs.
        top: pairs to look at.
    """
    classes = class_logits.shape[-1] - 1
    pairs = class_logits.softmax(-1)[:, :-1].flatten()
    scores, flat = pairs.topk(min(top, len(pairs)))
    class_ids, query = flat % classes, flat // classes
    wanted = torch.tensor(sorted(things), device=class_ids.device, dtype=class_ids.dtype)
    keep = torch.isin(class_ids, wanted)
    scores, class_ids, query = scores[keep], class_ids[keep], query[keep]
    masks, quality = mask_logits > 0, mask_quality(mask_logits)
    scores = scores * quality[query]
    order = scores.argsort(descending=True, stable=True)
    return Instances(scores[order], class_ids[order], masks[query[order]])


def mask_quality(mask_logits: Tensor) -> Tensor:
    """Mean of the soft mask inside the mask: (N, H, W) -> (N,) in 0..1, 0 for an empty mask."""
    inside = (mask_logits > 0).to(mask_logits.dtype)
    return (mask_logits.sigmoid() * inside).sum((1, 2)) / (inside.sum((1, 2)) + 1e-6)
