"""Single points decoded as any other prompt, for models that have no shorter way."""

from collections.abc import Iterator

import torch

from seg_assets.modeling.mask_models.batches import run_in_batches
from seg_assets.modeling.mask_models.protocol import (
    ImageEmbedding,
    KeepScores,
    MaskModel,
    PointMasks,
)

_POINTS_PER_BATCH = 64


def decode_points_plainly(
    model: MaskModel,
    embedding: ImageEmbedding,
    points: torch.Tensor,
    keep: KeepScores,
    points_per_batch: int | None = None,
) -> Iterator[PointMasks]:
    """Decode all candidates of each point, and pass on those that are wanted.

    Args:
        model: Whose `decode` is called.
        embedding: Of the image.
        points: x, y in the model's input, (N, 2) float32, on the model's device.
        keep: Which of the candidates are wanted.
        points_per_batch: Points decoded together at most; None = 64. On a GPU, batches get smaller
            when its memory is short.
    """

    def run(start: int, stop: int) -> PointMasks:
        prompts = points[start:stop, None]
        labels = torch.ones(prompts.shape[:2], dtype=torch.int, device=points.device)
        logits, ious = model.decode(embedding, points=prompts, labels=labels, multimask=True)
        wanted = keep(ious)
        return PointMasks(logits[wanted], ious[wanted], start + wanted.nonzero()[:, 0])

    for found in run_in_batches(len(points), points_per_batch or _POINTS_PER_BATCH, run):
        if len(found.logits):
            yield found
