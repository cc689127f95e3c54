"""An image, its boxes and its masks, brought to the square that a SAM takes."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from seg_assets.modeling.pixels import scaled_size


@dataclass(frozen=True)
class SquareFit:
    """An image's longest side becomes the square's; the rest of the square is padding.

    The image lies at the top left, as everywhere in SAM.

    Attributes:
        image_size: Rows and columns of the image.
        side: Pixels of a side of the square.
    """

    image_size: tuple[int, int]
    side: int

    @property
    def input_size(self) -> tuple[int, int]:
        """Rows and columns of the scaled image."""
        return scaled_size(*self.image_size, self.side)

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """Scale an image, (H, W, 3) uint8, bilinearly, and pad it to (side, side, 3) with zeros."""
        return self._pad(np.array(self._scale(Image.fromarray(pixels))))

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """Scale boxes x0, y0, x1, y1, (N, 4) in pixels of the image; float32."""
        factors = np.array(self.input_size[::-1]) / np.array(self.image_size[::-1])
        return (np.asarray(boxes).reshape(-1, 4) * np.tile(factors, 2)).astype(np.float32)

    def masks(self, masks: np.ndarray) -> np.ndarray:
        """Scale masks as the image is scaled, keeping pixels that are at least half covered.

        Args:
            masks: (N, H, W) bool.

        Returns:
            (N, side, side) bool.
        """
        square = np.zeros((len(masks), self.side, self.side), dtype=bool)
        rows, columns = self.input_size
        for index, mask in enumerate(masks):
            scaled = self._scale(Image.fromarray(np.asarray(mask, dtype=np.uint8) * 255))
            square[index, :rows, :columns] = np.array(scaled) >= 128
        return square

    def _scale(self, picture: Image.Image) -> Image.Image:
        rows, columns = self.input_size
        return picture.resize((columns, rows), Image.Resampling.BILINEAR)

    def _pad(self, pixels: np.ndarray) -> np.ndarray:
        rows, columns = self.input_size
        return np.pad(pixels, ((0, self.side - rows), (0, self.side - columns), (0, 0)))
