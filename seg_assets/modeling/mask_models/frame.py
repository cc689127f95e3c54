"""Where a mask model's pixels lie: image, the model's square input, its low-resolution logits."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MaskFrame:
    """The three frames of one image.

    An image of `image_size` is scaled to `input_size` and padded below and to the right to a
    `square`. The decoder's logits cover the whole square at `logits_size`. They come back in two
    bilinear steps, as in the segment-anything package: to the square, cut to `input_size`, then to
    `image_size`. Models that squeeze every image into the square (`input_size` fills it) and scale
    their logits in one step have `through_square` False.

    Attributes:
        image_size: Rows and columns of the image.
        input_size: Rows and columns it was scaled to, before padding.
        square: Side of the model's input in pixels.
        logits_size: Rows and columns of the low-resolution logits.
        through_square: Whether logits are scaled to the square before they are scaled to the image.
    """

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    square: int
    logits_size: tuple[int, int]
    through_square: bool = True

    def to_input(self, coordinates: np.ndarray) -> np.ndarray:
        """Scale x, y in pixels of the image, (..., 2), to the model's input, float64."""
        return coordinates * (np.array(self.input_size[::-1]) / np.array(self.image_size[::-1]))
