"""What one step of a recipe for SAM sees: images, their objects, and how these are prompted."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from seg_assets.training.sam.objects import pad_objects


@dataclass(frozen=True)
class PromptPlan:
    """How the objects of one image are prompted in each of I iterations.

    All chance is drawn here, so that neither the device nor the cut of the batches changes it.

    Attributes:
        starts_with_box: Whether the first prompt is a box; else it is a point.
        mask_only: (I,) bool, True where an iteration gets no new point.
        draws: (N, I) float64 in [0, 1): which of the possible pixels each new point is.
    """

    starts_with_box: bool
    mask_only: np.ndarray
    draws: np.ndarray


@dataclass(frozen=True)
class SamSample:
    """One image with its objects, brought to the model's S x S square.

    Attributes:
        image: (S, S, 3) uint8 RGB, padded with zeros.
        input_size: Rows and columns of the image inside the square.
        masks: (n, S, S) bool.
        boxes: (n, 4) float32, box prompts x0, y0, x1, y1 in pixels of the square.
        plan: Prompts of the n objects.
    """

    image: np.ndarray
    input_size: tuple[int, int]
    masks: np.ndarray
    boxes: np.ndarray
    plan: PromptPlan

    def key(self) -> str:
        """Hash of the pixels that the encoder sees, 32 hex digits."""
        digest = hashlib.blake2b(repr(self.input_size).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.image).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class ImageObjects:
    """The n objects of one image that count.

    Attributes:
        input_size: Rows and columns of the image inside the square.
        masks: (n, S, S) bool.
        boxes: (n, 4) float32.
        starts_with_box: As in `PromptPlan`.
        mask_only: As in `PromptPlan`, (I,) bool.
        draws: As in `PromptPlan`, (n, I) float64.
    """

    input_size: tuple[int, int]
    masks: Tensor
    boxes: Tensor
    starts_with_box: bool
    mask_only: tuple[bool, ...]
    draws: Tensor

    def chunks(self, size: int) -> Iterator["ImageObjects"]:
        """The same objects, `size` at a time; nothing where there are none."""
        parts = (self.masks.split(size), self.boxes.split(size), self.draws.split(size))
        if len(self.masks):
            for masks, boxes, draws in zip(*parts, strict=True):
                yield replace(self, masks=masks, boxes=boxes, draws=draws)


@dataclass(frozen=True)
class SamBatch:
    """B samples with room for N objects each; see `SamSample` for the fields.

    What steers the recipe is no tensor, so that nobody waits for a device to learn it.

    Attributes:
        images: (B, 3, S, S) uint8.
        masks: (B, N, S, S) bool.
        boxes: (B, N, 4) float32.
        draws: (B, N, I) float64.
        valid: (B, N) bool, False where there is no object: behind the last one.
        input_sizes: Of each image, rows and columns.
        mask_only: Of each image, the I iterations.
        starts_with_box: Of each image.
        objects_in: How many objects each image has.
        keys: Hashes of the images; empty where nothing is cached.
    """

    images: Tensor
    masks: Tensor
    boxes: Tensor
    draws: Tensor
    valid: Tensor
    input_sizes: tuple[tuple[int, int], ...]
    mask_only: tuple[tuple[bool, ...], ...]
    starts_with_box: tuple[bool, ...]
    objects_in: tuple[int, ...]
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def objects(self, index: int) -> ImageObjects:
        """The objects of image `index`, without the empty places."""
        count = self.objects_in[index]
        return ImageObjects(
            input_size=self.input_sizes[index],
            masks=self.masks[index, :count],
            boxes=self.boxes[index, :count],
            starts_with_box=self.starts_with_box[index],
            mask_only=self.mask_only[index],
            draws=self.draws[index, :count],
        )


def collate(samples: list[SamSample], size: int, *, with_keys: bool) -> SamBatch:
    """Put samples into one batch with room for `size` objects per image.

    Args:
        samples: Each with at most `size` objects and equally many iterations.
        size: Places per image.
        with_keys: Whether to hash the images, for a cache.
    """

    def stack(arrays: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack([pad_objects(array, size) for array in arrays]))

    filled = [np.ones(len(sample.masks), dtype=bool) for sample in samples]
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return SamBatch(
        images=images.permute(0, 3, 1, 2).contiguous(),
        masks=stack([sample.masks for sample in samples]),
        boxes=stack([sample.boxes for sample in samples]),
        draws=stack([sample.plan.draws for sample in samples]),
        valid=stack(filled),
        input_sizes=tuple(sample.input_size for sample in samples),
        mask_only=tuple(tuple(sample.plan.mask_only.tolist()) for sample in samples),
        starts_with_box=tuple(sample.plan.starts_with_box for sample in samples),
        objects_in=tuple(len(sample.masks) for sample in samples),
        keys=tuple(sample.key() for sample in samples) if with_keys else (),
    )
