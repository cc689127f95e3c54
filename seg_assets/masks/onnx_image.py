"""An image as the exported graphs take it, and their logits back at the image's size; numpy only.

The same steps as in torch: the image is scaled by Pillow, normalised, then padded; logits go to the
model's square, are cut to the image's part of it, and go to the image's size.
"""

import numpy as np
from PIL import Image

from seg_assets.data.images import check_rgb
from seg_assets.modeling.mask_models.frame import MaskFrame
from seg_assets.modeling.onnx_export.metadata import GraphMetadata
from seg_assets.modeling.pixels import scaled_size


def prepare_image(
    image: np.ndarray, metadata: GraphMetadata, logits_size: tuple[int, int]
) -> tuple[np.ndarray, MaskFrame]:
    """Scale an image's long side to the graph's input size, normalise and pad it.

    Args:
        image: (H, W, 3) uint8 RGB.
        metadata: Of the graph that will get it.
        logits_size: Rows and columns of the logits that the graph will make of it.

    Returns:
        (1, 3, S, S) float32, and where the image lies in it.

    Raises:
        InputError: The array is no RGB image.
    """
    check_rgb(image)
    side = metadata.image_size
    height, width = image.shape[:2]
    rows, columns = scaled_size(height, width, side)
    scaled = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
    pixels = np.asarray(scaled, np.float32)
    pixels = (pixels - np.array(metadata.mean, np.float32)) / np.array(metadata.std, np.float32)
    square = np.zeros((1, 3, side, side), np.float32)
    square[0, :, :rows, :columns] = pixels.transpose(2, 0, 1)
    return square, MaskFrame((height, width), (rows, columns), side, logits_size)


def to_image(logits: np.ndarray, frame: MaskFrame) -> np.ndarray:
    """Bring the logits of one mask, (h, w) float32, to the image's size, (H, W) float32."""
    rows, columns = frame.input_size
    if logits.shape != (frame.square, frame.square):
        logits = resize(logits, (frame.square, frame.square), keep=frame.input_size)
    return resize(logits[:rows, :columns], frame.image_size)


def resize(
    values: np.ndarray, size: tuple[int, int], keep: tuple[int, int] | None = None
) -> np.ndarray:
    """Bilinear resizing, as `torch.nn.functional.interpolate(..., align_corners=False)` does it.

    Args:
        values: (h, w) float32.
        size: Rows and columns to resize to.
        keep: How many rows and columns of those are wanted, from the top left; None for all.

    Returns:
        (rows, columns) float32.
    """
    rows, columns = keep or size
    low, high, weight = _taps(values.shape[0], size[0], rows)
    values = values[low] + (values[high] - values[low]) * weight[:, None]
    low, high, weight = _taps(values.shape[1], size[1], columns)
    return values[:, low] + (values[:, high] - values[:, low]) * weight


def _taps(source: int, target: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per target pixel the source pixels before and after its centre, and the share of the latter.

    Positions are float32, as in torch: at pixel 1000 that moves a centre by 1 / 30000 of a pixel.
    """
    scale = np.float32(source) / np.float32(target)
    centres = np.arange(count, dtype=np.float32) + np.float32(0.5)
    position = np.maximum(centres * scale - np.float32(0.5), np.float32(0))
    low = np.minimum(position.astype(np.int64), source - 1)
    high = np.minimum(low + 1, source - 1)
    return low, high, np.clip(position - low.astype(np.float32), 0, 1, dtype=np.float32)
