"""The segment-anything package's SAM as a mask model: its weights, our passes through them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.modeling.mask_models.frame import MaskFrame
from seg_assets.modeling.mask_models.plain_points import decode_points_plainly
from seg_assets.modeling.mask_models.protocol import ImageEmbedding, KeepScores, PointMasks
from seg_assets.modeling.mask_models.sam.image_encoder import EncoderRunner
from seg_assets.modeling.mask_models.sam.point_decoder import PointDecoder
from seg_assets.modeling.pixels import scaled_size
from seg_assets.modeling.precision import Precision


class SegmentAnythingModel:
    """A SAM behind the protocol `MaskModel`.

    What is not built of the package's own parts (a subclassed decoder, adapters) is called as it
    is. The decoder's weights are taken over when the model is made, so make it after training.
    """

    def __init__(self, sam: Sam, precision: Precision = "float32", compile: bool = False) -> None:
        """Take a model in evaluation mode.

        Args:
            sam: The model; its weights are shared.
            precision: Of the large matrix products; norms, softmaxes and results stay float32.
            compile: Compile the image encoder with `torch.compile`. Worth it on a GPU, for many
                images.
        """
        self.sam = sam
        self.mask_threshold = sam.mask_threshold
        self.candidates = sam.mask_decoder.num_multimask_outputs
        rows, columns = sam.prompt_encoder.mask_input_size
        self.logits_size = (rows, columns)
        dtype: torch.dtype = getattr(torch, precision)
        self._encode = EncoderRunner(sam.image_encoder, dtype=dtype, compile=compile)
        self._points = PointDecoder(sam, dtype) if PointDecoder.supports(sam) else None

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.sam.device

    def embed(self, images: Sequence[np.ndarray]) -> list[ImageEmbedding]:
        """Scale each image's long side to the model's input, and encode all in one batch.

        Args:
            images: (H, W, 3) uint8 RGB each, of any sizes.
        """
        if not images:
            return []
        square = self.sam.image_encoder.img_size
        frames, pixels = [], []
        with torch.inference_mode():
            for image in images:
                height, width = image.shape[:2]
                rows, columns = scaled_size(height, width, square)
                scaled = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
                chw = torch.from_numpy(np.array(scaled)).to(self.device).permute(2, 0, 1)
                pixels.append(self.sam.preprocess(chw))
                frames.append(MaskFrame((height, width), (rows, columns), square, self.logits_size))
            features = self._encode(torch.stack(pixels))
        return [ImageEmbedding(features[i : i + 1], frame) for i, frame in enumerate(frames)]

    def decode(
        self,
        embedding: ImageEmbedding,
        *,
        points: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        boxes: torch.Tensor | None = None,
        mask_logits: torch.Tensor | None = None,
        multimask: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode the prompts of N objects together; see `MaskModel.decode`."""
        with torch.inference_mode():
            return decode_prompts(
                self.sam,
                embedding.features,
                points=points,
                labels=labels,
                boxes=boxes,
                mask_logits=mask_logits,
                multimask=multimask,
            )

    def decode_points(
        self,
        embedding: ImageEmbedding,
        points: torch.Tensor,
        keep: KeepScores,
        points_per_batch: int | None = None,
    ) -> Iterator[PointMasks]:
        """Decode single points for the masks that are wanted; see `MaskModel.decode_points`."""
        if self._points is None:
            yield from decode_points_plainly(self, embedding, points, keep, points_per_batch)
            return
        image = self._points.prepare(embedding.features)
        yield from self._points.decode(
            image, points, keep, embedding.frame.input_size, points_per_batch
        )


def decode_prompts(
    sam: Sam,
    features: torch.Tensor,
    *,
    points: torch.Tensor | None = None,
    labels: torch.Tensor | None = None,
    boxes: torch.Tensor | None = None,
    mask_logits: torch.Tensor | None = None,
    multimask: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode the prompts of N objects together, with gradients; nothing is checked here.

    The prompt encoder shifts coordinates to the centres of pixels, and adds one padding point where
    there are points and no boxes. It computes in float32 even under autocast: it takes sines of
    large angles, and half precision would move a point by tens of pixels.

    Args:
        sam: The model that made the embedding.
        features: Embedding of the image, (1, C, h, w).
        points: x, y in the model's input (`MaskFrame.to_input`), (N, P, 2) float, on the model's
            device as all tensors here. Points and labels come together.
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
