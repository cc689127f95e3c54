"""From prompts to masks, with gradients."""

from dataclasses import dataclass

from torch import Tensor

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.modeling.mask_models.sam.model import decode_prompts


@dataclass(frozen=True)
class PromptTensors:
    """Prompts of N objects of one image, in pixels of the model's square; any part may be None.

    Attributes:
        points: x, y of P points each, (N, P, 2) float32.
        labels: (N, P) int64: 1 on the object, 0 beside it, -1 no point.
        boxes: x0, y0, x1, y1, (N, 4) float32.
        masks: Low-resolution logits of an earlier answer, (N, h, w) float32.
    """

    points: Tensor | None = None
    labels: Tensor | None = None
    boxes: Tensor | None = None
    masks: Tensor | None = None


def decode(
    sam: Sam, features: Tensor, prompts: PromptTensors, *, multimask: bool
) -> tuple[Tensor, Tensor]:
    """Masks of N objects of one image.

    Args:
        sam: The model.
        features: The image's embedding, (1, C, h, w).
        prompts: Of the N objects.
        multimask: Three candidates (tokens 1 to 3), or one mask (token 0).

    Returns:
        Logits at low resolution, (N, M, 4 h, 4 w), and predicted IoUs, (N, M).
    """
    return decode_prompts(
        sam,
        features,
        points=prompts.points,
        labels=prompts.labels,
        boxes=prompts.boxes,
        mask_logits=prompts.masks,
        multimask=multimask,
    )
