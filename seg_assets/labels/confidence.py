"""How sure SEEM's map is of itself, pixel by pixel."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

LEVELS = 255  # of the stored maps: a share of 1 is 255


@dataclass(frozen=True, eq=False)
class ConfidenceMaps:
    """Shares of the class scores of each pixel, 0 to 1.

    A pixel's scores are not probabilities: they add up to any number. Here they are divided by
    their sum over all classes, those without a counterpart in a class map included. Where all
    scores are 0, which no real image shows, so are both maps.

    Attributes:
        winner: (H, W) float32, the share of the best class, at least 1 / classes: 1 where no other
            class has any score.
        margin: (H, W) float32, that share minus the share of the second best class.
    """

    winner: np.ndarray
    margin: np.ndarray

    @classmethod
    def of(cls, ranked: np.ndarray) -> "ConfidenceMaps":
        """From best, second best and sum of all scores of each pixel (3, H, W) float32."""
        best, second, total = ranked
        winner, margin = np.zeros_like(best), best - second
        # not by one over the sum, which may be so small that this overflows
        np.divide(best, total, out=winner, where=total > 0)
        np.divide(margin, total, out=margin, where=total > 0)
        # the sum is rounded on its own
        return cls(np.minimum(winner, 1, out=winner), np.minimum(margin, 1, out=margin))


def to_levels(shares: np.ndarray) -> np.ndarray:
    """Shares 0..1 as they are stored: round(255 * share) uint8, off by at most 1 / 510."""
    return np.rint(shares * LEVELS).astype(np.uint8)


def from_levels(levels: np.ndarray) -> np.ndarray:
    """Stored confidence (uint8) as shares 0..1, float32."""
    return levels.astype(np.float32) / np.float32(LEVELS)


def grey_png(shares: np.ndarray) -> bytes:
    """Shares (H, W) in 0..1 as a grey PNG of `to_levels`; `from_levels(decode_label_map(...))`."""
    file = io.BytesIO()
    Image.fromarray(to_levels(shares)).save(file, format="PNG")
    return file.getvalue()
