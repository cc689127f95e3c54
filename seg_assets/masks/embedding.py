"""SAM in two steps: embed an image once, then decode any number of prompts on it."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam


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


def embed_image(sam: Sam, image: np.ndarray) -> ImageEmbedding:
    """Scale an image's long side to the model's input size and run the image encoder.

    Args:
        sam: The model.
        image: (H, W, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    scale = sam.image_encoder.img_size / max(height, width)
    rows, columns = max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)
    scaled = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(scaled)).to(sam.device).permute(2, 0, 1)[None]
    with torch.inference_mode():
        features = sam.image_encoder(sam.preprocess(pixels))
    return ImageEmbedding(features, (height, width), (rows, columns))


def decode_points(
    sam: Sam, embedding: ImageEmbedding, points: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Three nested candidates for each of N single foreground points.

    Args:
        sam: The model that made the embedding.
        embedding: Of the image.
        points: x, y in pixels of the image, (N, 2) float64.

    Returns:
        Mask logits at low resolution, (N, 3, h, w), which cover the padded square, and predicted
        IoUs, (N, 3), both float32 on the model's device.
    """
    scales = np.array(embedding.input_size[::-1]) / np.array(embedding.image_size[::-1])
    coordinates = torch.from_numpy(points * scales).to(sam.device)[:, None]  # (N, 1, 2)
    labels = torch.ones(coordinates.shape[:2], dtype=torch.int, device=sam.device)
    with torch.inference_mode():
        sparse, dense = sam.prompt_encoder(points=(coordinates, labels), boxes=None, masks=None)
        return sam.mask_decoder(
            image_embeddings=embedding.features,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )


def upscale_logits(sam: Sam, embedding: ImageEmbedding, logits: torch.Tensor) -> torch.Tensor:
    """Bring N low-resolution mask logits, (N, h, w), to the image's size, (N, H, W)."""
    with torch.inference_mode():
        return sam.postprocess_masks(logits[:, None], embedding.input_size, embedding.image_size)[
            :, 0
        ]
