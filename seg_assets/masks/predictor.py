"""Masks of chosen objects: one embedding of the image, then points, boxes and earlier masks.

    predictor = load_prompt_predictor("sam_vit_h")
    embedding = predictor.embed(image)
    found = predictor.predict(embedding, Prompts.of_object(points=[(500, 375)], labels=[1]))

The numbers are those of `SamPredictor` of the segment-anything package. Other than there, the
embedding belongs to the caller, so a predictor remembers no image; many objects are decoded at
once, yet few of their masks exist as full-resolution logits at any time.
"""

import numpy as np
import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.data.images import check_rgb
from seg_assets.errors import InputError
from seg_assets.masks.prompted_masks import PromptedMasks
from seg_assets.masks.prompts import Prompts
from seg_assets.masks.upscaling.plain import masks_at_once, upscale_logits
from seg_assets.modeling.mask_models.load import as_mask_model, load_mask_model
from seg_assets.modeling.mask_models.protocol import ImageEmbedding, MaskModel


class PromptPredictor:
    """Cuts out what prompts point at, on any number of images."""

    def __init__(self, model: Sam | MaskModel, objects_per_batch: int = 64) -> None:
        """Take a model in evaluation mode.

        Args:
            model: A SAM of the segment-anything package, or any mask model.
            objects_per_batch: Objects that the decoder sees together; bounds its memory.

        Raises:
            InputError: A batch would be empty.
        """
        if objects_per_batch < 1:
            raise InputError(f"objects_per_batch is {objects_per_batch}: it must be at least 1")
        self.model = as_mask_model(model)
        self.objects_per_batch = objects_per_batch

    def embed(self, image: np.ndarray) -> ImageEmbedding:
        """Run the image encoder, the expensive part, once for all prompts.

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            InputError: The array is no RGB image.
        """
        check_rgb(image)
        return self.model.embed([image])[0]

    def predict(
        self, embedding: ImageEmbedding, prompts: Prompts, *, multimask: bool = False
    ) -> PromptedMasks:
        """Find the masks of the prompted objects.

        Args:
            embedding: Of the image, by this predictor's model.
            prompts: In pixels of the image.
            multimask: Three candidates per object instead of one. Good for a single point, which
                may mean a thing, its part or the whole; one is better for a clear prompt.

        Returns:
            As many objects as prompted. Batches may change a number in its last digits only.

        Raises:
            InputError: A prompt lies outside the image, or mask logits have not the model's size.
        """
        frame = embedding.frame
        prompts.check_inside(*frame.image_size)
        self._check_mask_size(prompts)
        candidates = self.model.candidates if multimask else 1
        rows, columns = self.model.logits_size
        masks = np.empty((len(prompts), candidates, *frame.image_size), np.bool_)
        predicted_ious = np.empty((len(prompts), candidates), np.float32)
        low_resolution = np.empty((len(prompts), candidates, rows, columns), np.float32)
        at_once, threshold = masks_at_once(frame), self.model.mask_threshold

        for start in range(0, len(prompts), self.objects_per_batch):
            batch = slice(start, start + self.objects_per_batch)
            logits, ious = self._decode(embedding, prompts[batch], multimask)
            predicted_ious[batch] = ious.cpu().numpy()
            low_resolution[batch] = logits.cpu().numpy()
            logits = logits.flatten(0, 1)  # (n * M, h, w)
            flat = masks[batch].reshape(-1, *frame.image_size)  # (n * M, H, W), a view
            for first in range(0, len(flat), at_once):
                chunk = slice(first, first + at_once)
                with torch.inference_mode():
                    inside = upscale_logits(logits[chunk], frame) > threshold
                flat[chunk] = inside.cpu().numpy()
        return PromptedMasks(masks, predicted_ious, low_resolution)

    def _decode(
        self, embedding: ImageEmbedding, prompts: Prompts, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Bring one batch of prompts to the model's frame and device, and decode it."""
        points, boxes = prompts.points, prompts.boxes
        if points is not None:
            points = embedding.frame.to_input(points)
        if boxes is not None:
            boxes = embedding.frame.to_input(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        return self.model.decode(
            embedding,
            points=self._tensor(points, torch.float32),
            labels=self._tensor(prompts.labels, torch.int32),
            boxes=self._tensor(boxes, torch.float32),
            mask_logits=self._tensor(prompts.mask_logits, torch.float32),
            multimask=multimask,
        )

    def _tensor(self, values: np.ndarray | None, dtype: torch.dtype) -> torch.Tensor | None:
        return (
            None if values is None else torch.tensor(values, dtype=dtype, device=self.model.device)
        )

    def _check_mask_size(self, prompts: Prompts) -> None:
        given = prompts.mask_logits
        if given is not None and given.shape[1:] != self.model.logits_size:
            rows, columns = self.model.logits_size
            raise InputError(
                f"mask logits must be {rows} x {columns}, got {given.shape[1]} x {given.shape[2]}: "
                "feed back the low-resolution logits of an earlier prediction of this model"
            )


def load_prompt_predictor(name: str, device: str | torch.device = "cpu") -> PromptPredictor:
    """A predictor with the mask model that the model manifest calls `name`.

    Raises:
        InputError: The manifest has no such model, or the device is not there.
        CheckpointError: The weights are missing, damaged or do not fit.
    """
    return PromptPredictor(load_mask_model(name, device).model)
