"""The masks of prompted objects, as arrays: nothing here needs torch."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class PromptedMasks:
    """Masks of N prompted objects, M candidates each.

    Attributes:
        masks: (N, M, H, W) bool, at the image's size.
        predicted_ious: IoU of each mask with its object, as the model guesses it, (N, M) float32.
        logits: Low-resolution logits, (N, M, h, w) float32; they cover the padded square that the
            model saw, and can be fed back as `Prompts.mask_logits`.
    """

    masks: np.ndarray
    predicted_ious: np.ndarray
    logits: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """Index of each object's candidate with the highest predicted IoU, (N,) int64."""
        return self.predicted_ious.argmax(1)

    @property
    def best_logits(self) -> np.ndarray:
        """Low-resolution logits of each object's best candidate, (N, h, w) float32."""
        return self.logits[np.arange(len(self.logits)), self.best]
