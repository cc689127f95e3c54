"""Drawn prompts: simulated users draw, look at the answer and click; the last answer is trained.

Who answers depends on the wiring. "demo", the default, trains what the label stage asks for: the
object queries read the tokens of one prompt per image, and the query of that segment has to be the
one most like the prompt's mean mask feature. "v1" trains as the newer published checkpoint was:
object queries keep to themselves, and each of several prompts has three queries of its own.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from seg_assets.modeling.seem.decoder_v1 import (
    COPIES,
    JointPoints,
    MaskRound,
    decode_masks,
    even_queries,
    joint_points,
)
from seg_assets.modeling.seem.features import ImageFeatures
from seg_assets.modeling.seem.layers import full_precision
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.postprocess import match_region, to_image
from seg_assets.modeling.seem.prompts import RegionPrompt
from seg_assets.training.seem.batch import SeemBatch
from seg_assets.training.seem.clicks import next_click, paint_click
from seg_assets.training.seem.criterion import PROMPTS
from seg_assets.training.seem.heads import HeadStack, mask_terms
from seg_assets.training.seem.losses import named_terms, per_head, query_sums
from seg_assets.training.seem.matcher import Pairs, match_own, own_costs, total_cost
from seg_assets.training.seem.params import SeemTaskParams
from seg_assets.training.seem.prompting import read_own_masks


class Strokes:
    """Positive and negative prompts of a batch, which grow by clicks."""

    def __init__(self, batch: SeemBatch) -> None:
        """Begin with what was drawn; empty prompts stay out."""
        self.valid = batch.prompt_valid  # (B, P)
        self.positive = batch.prompts & self.valid[..., None, None]
        self.negative = torch.zeros_like(self.positive)
        segments = batch.prompted.clamp(min=0)
        images = torch.arange(len(segments), device=segments.device)[:, None]
        self.targets = batch.masks[images, segments]  # (B, P, S, S)

    def click(self, image: int, prompt: int, predicted: Tensor) -> None:
        """Look at an answer (S, S) bool and click where it is most wrong."""
        place = image, prompt
        drawn = (self.positive[place] | self.negative[place]).cpu().numpy()
        click = next_click(predicted.cpu().numpy(), self.targets[place].cpu().numpy(), drawn)
        if click is None:
            return
        painted = np.zeros_like(drawn)
        paint_click(painted, click)
        side = self.positive if click.positive else self.negative
        side[place] |= torch.from_numpy(painted).to(side.device)


def object_prompts(
    model: Seem, features: ImageFeatures, table: Tensor, batch: SeemBatch, rounds: int
) -> list[RegionPrompt]:
    """Wiring demo: the first prompt of each image after some rounds, for the object queries.

    Args:
        model: the network.
        features: of the images.
        table: class texts; only masks are looked at in the rounds.
        batch: the images.
        rounds: answers that users see and correct, computed without gradient.

    Returns:
        Positive prompts, and negative ones if there were rounds.
    """
    strokes = Strokes(batch)
    for _ in range(rounds):
        with torch.no_grad():
            regions = _region_prompts(model, features, strokes, negatives=True)
            prediction = model.decode(features, table, regions=regions)
            best = match_region(prediction, regions[0].query).query
            rows = torch.arange(len(best), device=best.device)
            chosen = prediction.mask_embeddings[rows, best][:, None]
            answers = to_image(features.masks(chosen)[:, 0], features) > 0
        for image in strokes.valid[:, 0].nonzero()[:, 0].tolist():
            strokes.click(image, 0, answers[image])
    return _region_prompts(model, features, strokes, negatives=rounds > 0)


def own_query_rounds(
    model: Seem, features: ImageFeatures, strokes: Strokes, image: int, rounds: int
) -> MaskRound:
    """Wiring v1: the valid prompts of one image after some rounds, answered by their own queries.

    Args:
        model: the network.
        features: of the batch.
        strokes: of the batch; clicks are added.
        image: which image of it; it has a valid prompt.
        rounds: answers that users see and correct, computed without gradient.
    """
    own = image_features(features, image)
    prompts = strokes.valid[image].nonzero()[:, 0]
    queries = even_queries(model.predictor, len(prompts))
    previous: Tensor | None = None
    for _ in range(rounds):
        with torch.no_grad():
            points = _joint_points(model, own, strokes, image, prompts)
            answer = decode_masks(model.predictor, own, points, queries, previous=previous)
        previous = full_precision(answer.masks)
        answers = to_image(previous, own) > 0
        for prompt, predicted in zip(prompts.tolist(), answers, strict=True):
            strokes.click(image, prompt, predicted)
    points = _joint_points(model, own, strokes, image, prompts)
    return decode_masks(model.predictor, own, points, queries, previous=previous)


def own_query_terms(
    model: Seem,
    features: ImageFeatures,
    batch: SeemBatch,
    params: SeemTaskParams,
    counts: Mapping[str, float],
    rounds: int,
) -> dict[str, Tensor]:
    """Wiring v1: one of the three queries of each prompt is to answer it.

    Returns:
        The terms loss_spatial_{ce,bce,dice}_{head}.
    """
    strokes = Strokes(batch)
    images, prompts = strokes.valid.shape
    heads = model.config.decoder_layers + 1
    width = features.mask_features.shape[1]
    embeddings = features.mask_features.new_zeros(heads, images, prompts, COPIES, width)
    similarity = torch.zeros(heads, images, prompts, COPIES, device=embeddings.device)
    embeddings = full_precision(embeddings)
    for image in strokes.valid.any(1).nonzero()[:, 0].tolist():
        answer = own_query_rounds(model, features, strokes, image, rounds)
        found = full_precision(answer.embeddings)  # (heads, valid, 3, mask_dim)
        likeness = (found @ full_precision(answer.query)[..., None])[..., 0]
        embeddings[:, image, strokes.valid[image]] = found
        similarity[:, image, strokes.valid[image]] = full_precision(likeness)
    masks = mask_terms(
        embeddings.flatten(2, 3), features, strokes.targets, params.points, batch.seeds
    )
    similarity = similarity.mT  # (heads, B, 3, P)
    bce, dice = (own_costs(cost) for cost in masks.costs())
    probability = similarity.detach().softmax(2)
    cost = total_cost(params.spatial_costs, probability, bce, dice)
    pairs = match_own(cost, strokes.valid)
    wanted = torch.zeros_like(similarity)
    wanted[pairs.heads, pairs.images, pairs.queries % COPIES, pairs.targets] = 1
    pair_bce, pair_dice = masks.losses(pairs)
    parts = {
        "ce": query_sums(similarity, wanted, strokes.valid),
        "bce": per_head(pair_bce, pairs, heads),
        "dice": per_head(pair_dice, pairs, heads),
    }
    return named_terms("spatial", parts, dict.fromkeys(parts, counts[PROMPTS]), params.weights)


def prompted_object_terms(
    stack: HeadStack,
    pairs: Pairs,
    query: Tensor,
    batch: SeemBatch,
    params: SeemTaskParams,
    counts: Mapping[str, float],
) -> dict[str, Tensor]:
    """Of the object queries that read a prompt, the one of the prompted segment answers it.

    It is to have the mask embedding that is most like the mean mask feature of the prompt, which
    is how the label stage picks the answer. Its mask is that of an object, so it has its loss there
    already: no term of its own.

    Args:
        stack: of the object queries.
        pairs: which query answers for which target.
        query: (B, mask_dim), mean mask feature of each image's prompt.
        batch: the images; the first prompt of each counts.
        params: of the training.
        counts: of the step.

    Returns:
        The terms loss_spatial_ce_{head}.
    """
    heads, images, queries, _ = stack.embeddings.shape
    # (heads, B, Q, 1); mixed precision halves the product
    similarity = full_precision(stack.embeddings @ full_precision(query)[..., None])
    # padding and empty prompts are -1, which is no target
    asked = pairs.targets == batch.prompted[:, 0][pairs.images]
    wanted = similarity.new_zeros(heads, images, queries, 1)
    wanted[pairs.heads[asked], pairs.images[asked], pairs.queries[asked], 0] = 1
    sums = query_sums(similarity, wanted, batch.prompt_valid[:, :1])
    return named_terms("spatial", {"ce": sums}, {"ce": counts[PROMPTS]}, params.weights)


def image_features(features: ImageFeatures, image: int) -> ImageFeatures:
    """The features of one image of a batch."""
    one = slice(image, image + 1)
    return replace(
        features,
        mask_features=features.mask_features[one],
        memory=[level[one] for level in features.memory],
        level_mask_features=[level[one] for level in features.level_mask_features],
        region_maps=[level[one] for level in features.region_maps],
    )


def _region_prompts(
    model: Seem, features: ImageFeatures, strokes: Strokes, *, negatives: bool
) -> list[RegionPrompt]:
    decoder, limit = model.predictor, model.config.max_points
    regions = [read_own_masks(decoder, features, strokes.positive[:, 0], limit)]
    if negatives:
        unwanted = strokes.negative[:, 0]
        regions.append(read_own_masks(decoder, features, unwanted, limit, positive=False))
    return regions


def _joint_points(
    model: Seem, features: ImageFeatures, strokes: Strokes, image: int, prompts: Tensor
) -> dict[str, JointPoints]:
    wanted, unwanted = strokes.positive[image, prompts], strokes.negative[image, prompts]
    return joint_points(wanted, unwanted, features.padded_size, model.config.max_points)
