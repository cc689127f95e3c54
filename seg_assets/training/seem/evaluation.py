"""How good a model is on held-out images: semantic scores and panoptic quality."""

import math
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.metrics.panoptic import (
    PanopticScores,
    PanopticSums,
    count_panoptic,
    panoptic_scores,
)
from seg_assets.metrics.semantic import semantic_scores
from seg_assets.modeling.seem.features import ImageFeatures, Prediction
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.postprocess import confident_queries, panoptic, semantic, to_image
from seg_assets.training.distributed import share_of_rank, sum_tensor
from seg_assets.training.seem.samples import SegmentationSample
from seg_assets.training.seem.sources import SampleSource
from seg_assets.training.seem.transforms import resize

SCORE_THRESHOLD = 0.8  # class probability of a query that may own a segment
OVERLAP_THRESHOLD = 0.8  # share of its mask that it must own
PIXELS_AT_ONCE = 1 << 17  # in maps of all queries and classes


@torch.no_grad()
def evaluate(
    model: Seem, table: Tensor, source: SampleSource, size: int, *, quality: bool = True
) -> dict[str, float]:
    """Score a model on all images of a source; every process does its share.

    Args:
        model: in evaluation mode.
        table: (classes + 1, hidden) class texts.
        source: held-out samples.
        size: side of the square that images are stretched to; scores are counted at their own size.
        quality: also panoptic quality, where the classes say what is a thing.

    Returns:
        See `semantic_numbers` and `quality_numbers`.
    """
    classes = source.table
    things = classes.things
    confusion = ConfusionMatrix.empty(classes)
    sums = PanopticSums.empty(len(classes))
    for index in share_of_rank(len(source)):
        sample = source[index]
        features, prediction = predict(model, table, sample, size)
        logits = prediction.logits[0]
        masks = to_image(features.masks(prediction.mask_embeddings)[0], features)
        found = best_classes(logits, masks, sample.label_map.shape).cpu().numpy()
        confusion += ConfusionMatrix.of(found, sample.label_map, classes)
        if quality:
            keep = confident_queries(logits, SCORE_THRESHOLD)
            sums += _panoptic_sums(logits[keep], masks[keep], sample, things, len(classes))
    counts = sum_tensor(torch.from_numpy(confusion.counts.copy())).numpy()
    numbers = semantic_numbers(ConfusionMatrix(classes, counts))
    if quality:
        parts = (sum_tensor(torch.from_numpy(getattr(sums, f.name))) for f in fields(sums))
        total = PanopticSums(*(part.numpy() for part in parts))
        is_thing = [bool(item.is_thing) for item in classes.classes]
        numbers |= quality_numbers(panoptic_scores(total, is_thing))
    return numbers


def predict(
    model: Seem, table: Tensor, sample: SegmentationSample, size: int
) -> tuple[ImageFeatures, Prediction]:
    """Object queries of one image, stretched to a square."""
    pixels = resize(sample, size, size).image
    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    features = model.encode_image(image)
    return features, model.decode(features, table)


def best_classes(class_logits: Tensor, mask_logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """The class of each pixel, some rows at a time: maps of all queries may not fit into memory.

    Args:
        class_logits: (Q, classes + 1).
        mask_logits: (Q, h, w), enlarged or shrunk bilinearly.
        size: wanted height and width.

    Returns:
        (height, width) uint8.
    """
    height, width = size
    old = mask_logits.shape[-2]
    found = torch.empty(height, width, dtype=torch.uint8, device=mask_logits.device)
    for rows in torch.arange(height, device=found.device).split(max(1, PIXELS_AT_ONCE // width)):
        # where the new rows' middles lie among those of the old rows
        place = ((rows + 0.5) * (old / height) - 0.5).clamp(0, old - 1)
        above = place.long()
        below = (above + 1).clamp(max=old - 1)
        band = torch.lerp(mask_logits[:, above], mask_logits[:, below], (place - above)[:, None])
        masks = F.interpolate(
            band[None], size=(len(rows), width), mode="bilinear", align_corners=False
        )[0]
        found[rows] = semantic(class_logits, masks).argmax(0).to(torch.uint8)
    return found


def _panoptic_sums(
    class_logits: Tensor,
    mask_logits: Tensor,
    sample: SegmentationSample,
    things: frozenset[int],
    classes: int,
) -> PanopticSums:
    """Compare the segments of queries that are sure with the true ones of one image."""
    thresholds = {"score_threshold": SCORE_THRESHOLD, "overlap_threshold": OVERLAP_THRESHOLD}
    masks = _resized(mask_logits, sample.label_map.shape)
    found, segments = panoptic(class_logits, masks, things, **thresholds)
    found = found.cpu().numpy()
    truth = np.zeros(sample.label_map.shape, np.int32)
    for number, mask in enumerate(sample.masks, start=1):
        truth[mask] = number
    present = {*np.unique(truth).tolist()}
    true_classes = {
        number: int(class_id)
        for number, class_id in enumerate(sample.class_ids, start=1)
        if number in present  # not hidden by those that came later
    }
    left = {*np.unique(found).tolist()}
    predicted = {s.id: s.class_id for s in segments if s.id in left}
    return count_panoptic(found, predicted, truth, true_classes, classes=classes)


def _resized(masks: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(masks.shape[-2:]) == size:
        return masks
    if not len(masks):  # torch does not resize nothing
        return masks.new_zeros(0, *size)
    return F.interpolate(masks[None], size=size, mode="bilinear", align_corners=False)[0]


def semantic_numbers(confusion: ConfusionMatrix) -> dict[str, float]:
    """Semantic scores by name, 0..1; what is not defined is left out.

    mIoU, fwIoU, mACC, pACC, and for each class IoU-, ACC-, Precision- and Recall-<name>.
    """
    found = semantic_scores(confusion)
    named = {
        "mIoU": found.miou,
        "fwIoU": found.fwiou,
        "mACC": found.macc,
        "pACC": found.aacc,
    }
    for prefix, values in (
        ("IoU", found.iou),
        ("ACC", found.accuracy),
        ("Precision", found.precision),
        ("Recall", found.recall),
    ):
        named |= {
            f"{prefix}-{name}": float(value)
            for name, value in zip(found.table.names, values, strict=True)
        }
    return {name: value for name, value in named.items() if not math.isnan(value)}


def quality_numbers(scores: PanopticScores) -> dict[str, float]:
    """PQ, SQ and RQ over all classes, things and stuff, 0..1; what is not defined is left out."""
    groups = {"": scores.all, "-things": scores.things, "-stuff": scores.stuff}
    named = {
        f"{name}{suffix}": value
        for suffix, means in groups.items()
        for name, value in (("PQ", means["pq"]), ("SQ", means["sq"]), ("RQ", means["rq"]))
    }
    return {name: value for name, value in named.items() if value is not None}
