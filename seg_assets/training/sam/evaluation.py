"""Object-mean IoU: the mean over all objects of all images, not over classes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.training.sam.batch import ImageObjects, SamSample
from seg_assets.training.sam.decode import decode
from seg_assets.training.sam.losses import enlarge, mask_iou
from seg_assets.training.sam.refine import first_prompts


@dataclass(frozen=True)
class ObjectIous:
    """Sums over objects, which add up over images and processes.

    Attributes:
        padded: Sum of IoUs in the model's padded square, as the published numbers have it.
        original: Sum of IoUs in the images' own pixels.
        objects: Number of objects.
    """

    padded: float = 0.0
    original: float = 0.0
    objects: float = 0.0

    def __add__(self, other: "ObjectIous") -> "ObjectIous":
        return ObjectIous(
            self.padded + other.padded,
            self.original + other.original,
            self.objects + other.objects,
        )

    def means(self) -> dict[str, float]:
        """miou, miou_original and objects; the means are 0 where there is no object."""
        count = max(self.objects, 1.0)
        return {
            "miou": self.padded / count,
            "miou_original": self.original / count,
            "objects": self.objects,
        }


@dataclass(frozen=True)
class HeldOutImage:
    """A sample of all its objects, and their masks in the image's own pixels, (n, H, W) bool."""

    sample: SamSample
    masks: np.ndarray


def evaluate_images(
    sam: Sam,
    embed: Callable[[SamSample], Tensor],
    images: Iterable[HeldOutImage],
    objects_per_chunk: int,
) -> ObjectIous:
    """Prompt every object once and compare the best-scored mask with the true one.

    Args:
        sam: The model, in evaluation mode.
        embed: Gives an image's embedding, (1, C, h, w).
        images: Held-out images.
        objects_per_chunk: Objects decoded together.
    """
    total = ObjectIous()
    for image in images:
        if len(image.masks) == 0:
            continue
        features = embed(image.sample)
        for start in range(0, len(image.masks), objects_per_chunk):
            rows = slice(start, start + objects_per_chunk)
            total += _evaluate_chunk(sam, features, image, rows)
    return total


@torch.no_grad()
def _evaluate_chunk(sam: Sam, features: Tensor, image: HeldOutImage, rows: slice) -> ObjectIous:
    sample, device = image.sample, features.device
    objects = ImageObjects(
        input_size=sample.input_size,
        masks=torch.from_numpy(sample.masks[rows]).to(device),
        boxes=torch.from_numpy(sample.boxes[rows]).to(device),
        starts_with_box=sample.plan.starts_with_box,
        mask_only=(False,),
        draws=torch.from_numpy(sample.plan.draws[rows]).to(device),
    )
    logits, scores = decode(
        sam, features, first_prompts(objects), multimask=not objects.starts_with_box
    )
    best = scores.argmax(1)
    chosen = logits[torch.arange(len(best), device=device), best].float()[:, None]  # (n, 1, h, w)
    original = torch.from_numpy(image.masks[rows]).to(device)
    at_original = sam.postprocess_masks(
        chosen, sample.input_size, (original.shape[1], original.shape[2])
    )
    square = enlarge(chosen, objects.masks.shape[-1])
    return ObjectIous(
        padded=float(mask_iou(square, objects.masks).sum()),
        original=float(mask_iou(at_original, original).sum()),
        objects=float(len(original)),
    )
