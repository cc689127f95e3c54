"""SAM in two steps: embed an image once, then decode any number of prompts on it.

The mask generator and the prompt predictor both stand on these functions, which know the model's
frames: prompts and masks in pixels of the image, the model in a square that the image's long side
fills, and the decoder's logits at a quarter of the square's patches.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.errors import InputError
from seg_assets.modeling.pixels import scaled_size

# Logits that may exist at full resolution at the same time (one mask's at least): 16 MB of float32.
_PIXELS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class ImageEmbedding:
    """What the image encoder makes of an image.

    Attributes:
        features: (1, C, h, w) float, on the model's device.
        image_size: Rows and columns of the image.
        input_size: Rows and columns it was scaled to, before padding to the model's square.
    """

    features: torch.Tensor
    image_size: tuple[int, int]
    input_size: tuple[int, int]

    def to_input(self, coordinates: np.ndarray) -> np.ndarray:
        """Scale x, y in pixels of the image, (..., 2), to the model's input, float64."""
        return coordinates * (np.array(self.input_size[::-1]) / np.array(self.image_size[::-1]))


def check_rgb(image: np.ndarray) -> None:
    """Refuse an array that is no image.

    Raises:
        InputError: It is not (H, W, 3) uint8, or has no pixels.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            f"an image to segment must be (H, W, 3) uint8 RGB with pixels in it, "
            f"got {image.dtype} of {image.shape}"
        )


def embed_image(sam: Sam, image: np.ndarray) -> ImageEmbedding:
    """Scale an image's long side to the model's input size and run the image encoder.

    Args:
        sam: The model.
        image: (H, W, 3) uint8 RGB.

    Raises:
        InputError: The array is no RGB image.
    """
    check_rgb(image)
    height, width = image.shape[:2]
    rows, columns = scaled_size(height, width, sam.image_encoder.img_size)
    scaled = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(scaled)).to(sam.device).permute(2, 0, 1)[None]
    with torch.inference_mode():
        features = sam.image_encoder(sam.preprocess(pixels))
    return ImageEmbedding(features, (height, width), (rows, columns))


def decode_prompts(
    sam: Sam,
    embedding: ImageEmbedding,
    *,
    points: torch.Tensor | None = None,
    labels: torch.Tensor | None = None,
    boxes: torch.Tensor | None = None,
    mask_logits: torch.Tensor | None = None,
    multimask: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode the prompts of N objects together, without gradients; see `decode`."""
    with torch.inference_mode():
        return decode(
            sam,
            embedding.features,
            points=points,
            labels=labels,
            boxes=boxes,
            mask_logits=mask_logits,
            multimask=multimask,
        )


def decode(
    sam: Sam,
    features: torch.Tensor,
    *,
    points: torch.Tensor | None = None,
    labels: torch.Tensor | None = None,
    boxes: torch.Tensor | None = None,
    mask_logits: torch.Tensor | None = None,
    multimask: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode the prompts of N objects together; nothing is checked here.

    The prompt encoder shifts coordinates to the centres of pixels, and adds one padding point where
    there are points and no boxes. It computes in float32 even under autocast: it takes sines of
    large angles, and half precision would move a point by tens of pixels.

    Args:
        sam: The model that made the embedding.
        features: Embedding of the image, (1, C, h, w).
        points: x, y in the model's input (`ImageEmbedding.to_input`), (N, P, 2) float, on the
            model's device as all tensors here. Points and labels come together.
        labels: 1 on the object, 0 beside it, -1 for a padding point, (N, P) integer.
        boxes: x0, y0, x1, y1 in the model's input, (N, 4) float.
        mask_logits: Low-resolution logits of an earlier decoding, (N, h, w) float32.
        multimask: Three candidates for an ambiguous prompt, else the one for a clear prompt.

    Returns:
        Mask logits at low resolution, (N, 3 or 1, h, w), which cover the padded square, and
        predicted IoUs, (N, 3 or 1), both on the model's device; float32, but under autocast.
    """
    with torch.autocast(features.device.type, enabled=False):
        sparse, dense = sam.prompt_encoder(
            points=None if points is None else (points, labels),
            boxes=boxes,
            masks=None if mask_logits is None else mask_logits[:, None],
        )
        positions = sam.prompt_encoder.get_dense_pe()
    return sam.mask_decoder(
        image_embeddings=features,
        image_pe=positions,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )


def masks_at_once(sam: Sam, embedding: ImageEmbedding) -> int:
    """How many masks may be upscaled together, so that few exist at full resolution at a time."""
    rows, columns = embedding.image_size
    pixels = max(rows * columns, sam.image_encoder.img_size**2)  # upscaling makes both
    return max(_PIXELS_AT_ONCE // pixels, 1)


def upscale_logits(sam: Sam, embedding: ImageEmbedding, logits: torch.Tensor) -> torch.Tensor:
    """Bring N low-resolution mask logits, (N, h, w), to the image's size, (N, H, W)."""
    with torch.inference_mode():
        return sam.postprocess_masks(logits[:, None], embedding.input_size, embedding.image_size)[
            :, 0
        ]
