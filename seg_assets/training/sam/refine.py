"""The iterative recipe for the objects of one image: prompt, mask, loss, next prompt.

Segment Anything (Kirillov et al. 2023), appendix A. A recipe with one prompt per object is the same
with a single iteration.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.training.sam.batch import ImageObjects
from seg_assets.training.sam.decode import PromptTensors, decode
from seg_assets.training.sam.losses import at_compared_size, choose_mask, enlarge, mask_losses
from seg_assets.training.sam.params import LossParams
from seg_assets.training.sam.prompts import PADDING, first_points, next_points

TERMS = ("focal", "dice", "iou")


@dataclass(frozen=True)
class Answer:
    """What one iteration gives.

    Attributes:
        terms: Weighted losses in the order of `TERMS`, each summed over the objects, (3,) float32.
        logits: Low-resolution logits of the chosen masks, (n, h, w) float32, without gradient.
    """

    terms: Tensor
    logits: Tensor


def refine(
    sam: Sam,
    features: Tensor,
    objects: ImageObjects,
    loss: LossParams,
    *,
    accumulate: bool = True,
    recompute: bool = False,
) -> Tensor:
    """Losses of the objects of one image over all iterations of its plan.

    Args:
        sam: The model.
        features: The image's embedding, (1, C, h, w).
        objects: At least one object.
        loss: Which losses.
        accumulate: Whether prompts add up; else the network sees the newest one only.
        recompute: Keep no activations; the backward pass decodes anew.

    Returns:
        Weighted losses in the order of `TERMS`, each summed over the objects and averaged over the
        iterations, (3,) float32.
    """
    prompts = first_prompts(objects)
    answers: list[Answer] = []
    for iteration, mask_only in enumerate(objects.mask_only):
        if answers:
            logits = answers[-1].logits
            if not mask_only:
                point = _point_into_error(objects, logits, objects.draws[:, iteration])
                prompts = _with_point(prompts, *point, accumulate=accumulate)
            elif not accumulate:
                prompts = _with_point(prompts, *_no_point(logits), accumulate=False)
            prompts = _with_mask(prompts, logits)
        # One click may mean a part or the whole; with more of them or a box there is one answer.
        multimask = not answers and not objects.starts_with_box
        arguments = (sam, features, prompts, objects.masks, loss, multimask)
        answers.append(
            checkpoint(answer, *arguments, use_reentrant=False, preserve_rng_state=False)
            if recompute
            else answer(*arguments)
        )
    return torch.stack([each.terms for each in answers]).mean(0)


def first_prompts(objects: ImageObjects) -> PromptTensors:
    """A box or a point for each object."""
    if objects.starts_with_box:
        return PromptTensors(boxes=objects.boxes)
    points, labels = first_points(objects.masks, objects.draws[:, 0])
    return PromptTensors(points=points[:, None], labels=labels[:, None])


def answer(
    sam: Sam,
    features: Tensor,
    prompts: PromptTensors,
    masks: Tensor,
    loss: LossParams,
    multimask: bool,
) -> Answer:
    """Decode, choose one mask per object, and hold it against the true one.

    Args:
        sam: The model.
        features: The image's embedding, (1, C, h, w).
        prompts: Of n objects.
        masks: True masks, (n, S, S) bool.
        loss: Which losses, and which of several masks gets them.
        multimask: Whether there are three candidates.
    """
    logits, predicted_iou = decode(sam, features, prompts, multimask=multimask)
    losses = mask_losses(*at_compared_size(logits, masks, loss), predicted_iou, loss)
    chosen = choose_mask(losses, predicted_iou, loss)[:, None]  # (n, 1)
    terms = losses.weighted(loss)
    rows = torch.arange(len(masks), device=masks.device)
    return Answer(
        terms=torch.stack([terms[name].gather(1, chosen).sum() for name in TERMS]),
        logits=logits.detach()[rows, chosen[:, 0]].float(),
    )


def _point_into_error(
    objects: ImageObjects, logits: Tensor, draws: Tensor
) -> tuple[Tensor, Tensor]:
    predicted = enlarge(logits[:, None], objects.masks.shape[-1])[:, 0] > 0
    rows, columns = objects.input_size
    # Nobody can click into the padding.
    predicted[:, rows:], predicted[:, :, columns:] = False, False
    return next_points(objects.masks, predicted, draws)


def _no_point(logits: Tensor) -> tuple[Tensor, Tensor]:
    count = len(logits)
    points = torch.zeros(count, 2, device=logits.device)
    return points, torch.full((count,), PADDING, device=logits.device)


def _with_point(
    prompts: PromptTensors, points: Tensor, labels: Tensor, *, accumulate: bool
) -> PromptTensors:
    """Add a point, (n, 2) with labels (n,), to the prompts, or put it in their place."""
    points, labels = points[:, None], labels[:, None]
    if not accumulate:
        return PromptTensors(points=points, labels=labels)
    if prompts.points is not None and prompts.labels is not None:
        points = torch.cat([prompts.points, points], 1)
        labels = torch.cat([prompts.labels, labels], 1)
    return PromptTensors(points=points, labels=labels, boxes=prompts.boxes)


def _with_mask(prompts: PromptTensors, logits: Tensor) -> PromptTensors:
    return PromptTensors(
        points=prompts.points, labels=prompts.labels, boxes=prompts.boxes, masks=logits
    )
