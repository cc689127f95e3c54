"""What comes back from prompts: masks with scores and classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from seg_assets.modeling.seem.postprocess import mask_quality


@dataclass(frozen=True, eq=False)
class PromptedMasks:
    """The answer to N prompts on an image of H x W pixels.

    Attributes:
        masks: (N, H, W) bool.
        scores: (N,) float32 in 0..1, mean of the soft mask inside the mask; 0 for an empty mask.
        similarities: (N,) float32, how well the query fits the prompt: scaled cosine for texts (at
            most 100), a product without bounds for masks. Compare within one kind of prompt only.
        class_ids: (N,) int64, the query's class; the last id is "no object".
    """

    masks: np.ndarray
    scores: np.ndarray
    similarities: np.ndarray
    class_ids: np.ndarray

    @classmethod
    def of(cls, logits: Tensor, similarities: Tensor, class_ids: Tensor) -> "PromptedMasks":
        """From tensors on any device.

        Args:
            logits: (N, H, W), mask logits at image size.
            similarities: (N,).
            class_ids: (N,) int64.
        """
        return cls(
            masks=(logits > 0).cpu().numpy(),
            scores=mask_quality(logits).float().cpu().numpy(),
            similarities=similarities.float().cpu().numpy(),
            class_ids=class_ids.cpu().numpy(),
        )

    @classmethod
    def joined(
        cls, parts: Sequence["PromptedMasks"], image_size: tuple[int, int]
    ) -> "PromptedMasks":
        """One answer from those to parts of the prompts; no parts give an answer to no prompts."""
        nothing = cls(
            masks=np.zeros((0, *image_size), bool),
            scores=np.zeros(0, np.float32),
            similarities=np.zeros(0, np.float32),
            class_ids=np.zeros(0, np.int64),
        )
        every = [nothing, *parts]
        return cls(
            masks=np.concatenate([part.masks for part in every]),
            scores=np.concatenate([part.scores for part in every]),
            similarities=np.concatenate([part.similarities for part in every]),
            class_ids=np.concatenate([part.class_ids for part in every]),
        )
