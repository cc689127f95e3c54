"""Masks of chosen objects by exported graphs: the network runs in onnxruntime, not in torch.

    predictor = OnnxPromptPredictor.from_folder(Path("exported"), "sam_demo")
    embedding = predictor.embed(image)
    found = predictor.predict(embedding, Prompts.of_object(points=[(75, 59)], labels=[1]))

The interface is that of `PromptPredictor`, and so are the numbers, but for rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg_assets.errors import InputError
from seg_assets.masks.onnx_image import prepare_image, to_image
from seg_assets.masks.prompted_masks import PromptedMasks
from seg_assets.masks.prompts import Prompts
from seg_assets.modeling.mask_models.frame import MaskFrame
from seg_assets.modeling.onnx_export.session import CPU_ONLY, OnnxGraph, open_graph
from seg_assets.modeling.onnx_export.tokens import point_tokens

# The decoder's masks: one for a clear prompt, then three candidates for an ambiguous one.
_MASKS, _SINGLE, _CANDIDATES = 4, slice(0, 1), slice(1, None)


@dataclass(frozen=True, eq=False)
class OnnxEmbedding:
    """What the encoder graph makes of an image.

    Attributes:
        features: (1, C, h, w) float32.
        frame: Where the image lies in the model's input.
    """

    features: np.ndarray
    frame: MaskFrame


class OnnxPromptPredictor:
    """Cuts out what prompts point at, with an encoder and a decoder graph."""

    def __init__(
        self,
        encoder: Path,
        decoder: Path,
        *,
        providers: Sequence[str] = CPU_ONLY,
        threads: int = 0,
        objects_per_batch: int = 64,
    ) -> None:
        """Open both graphs.

        Args:
            encoder: File of the encoder graph.
            decoder: File of the decoder graph, of the same weights.
            providers: What onnxruntime may run them on, best first, e.g. "CUDAExecutionProvider".
            threads: Threads within one operation; 0 leaves it to onnxruntime.
            objects_per_batch: Objects that the decoder sees together; bounds its memory.

        Raises:
            InputError: onnxruntime or a provider is not installed, a file is missing, damaged or
                another graph, the two belong to different weights, or a batch would be empty.
        """
        if objects_per_batch < 1:
            raise InputError(f"objects_per_batch is {objects_per_batch}: it must be at least 1")
        self.encoder = open_graph(encoder, "encoder", providers=providers, threads=threads)
        self.decoder = open_graph(decoder, "decoder", providers=providers, threads=threads)
        first, second = self.encoder.metadata, self.decoder.metadata
        if first.checkpoint_sha256 != second.checkpoint_sha256:
            raise InputError(
                f"{encoder} and {decoder} were exported from different weights (of {first.model} "
                f"and {second.model}): export both again"
            )
        self.objects_per_batch = objects_per_batch
        self._mask_size = _mask_size(self.decoder)

    @classmethod
    def from_folder(
        cls, folder: Path, name: str, *, providers: Sequence[str] = CPU_ONLY, threads: int = 0
    ) -> "OnnxPromptPredictor":
        """Open what `seg-assets models export NAME --out FOLDER` wrote.

        Raises:
            InputError: As for the class.
        """
        graphs = (folder / f"{name}_{kind}.onnx" for kind in ("encoder", "decoder"))
        return cls(*graphs, providers=providers, threads=threads)

    def embed(self, image: np.ndarray) -> OnnxEmbedding:
        """Run the encoder, the expensive part, once for all prompts.

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            InputError: The array is no RGB image.
        """
        pixels, frame = prepare_image(image, self.encoder.metadata, self._mask_size)
        (features,) = self.encoder.run(image=pixels)
        return OnnxEmbedding(features, frame)

    def predict(
        self, embedding: OnnxEmbedding, prompts: Prompts, *, multimask: bool = False
    ) -> PromptedMasks:
        """Find the masks of the prompted objects.

        Args:
            embedding: Of the image, by this predictor's graphs.
            prompts: In pixels of the image.
            multimask: Three candidates per object instead of one, as for `PromptPredictor`.

        Returns:
            As many objects as prompted.

        Raises:
            InputError: A prompt lies outside the image, or mask logits have not the model's size.
        """
        frame = embedding.frame
        prompts.check_inside(*frame.image_size)
        self._check_mask_size(prompts)
        chosen = _CANDIDATES if multimask else _SINGLE
        found = (len(prompts), len(range(_MASKS)[chosen]))  # N, M
        predicted_ious = np.empty(found, np.float32)
        low_resolution = np.empty((*found, *self._mask_size), np.float32)
        for start in range(0, len(prompts), self.objects_per_batch):
            batch = slice(start, start + self.objects_per_batch)
            logits, ious = self._decode(embedding, prompts[batch])
            low_resolution[batch], predicted_ious[batch] = logits[:, chosen], ious[:, chosen]

        threshold = self.decoder.metadata.mask_threshold
        masks = np.empty((*found, *frame.image_size), np.bool_)
        for index in np.ndindex(found):  # one at full resolution at a time
            masks[index] = to_image(low_resolution[index], frame) > threshold
        return PromptedMasks(masks, predicted_ious, low_resolution)

    def _decode(self, embedding: OnnxEmbedding, prompts: Prompts) -> list[np.ndarray]:
        """Logits (n, 4, h, w) and predicted IoUs (n, 4) of one batch of prompts."""
        count, given = len(prompts), prompts.mask_logits
        points, boxes = prompts.points, prompts.boxes
        coordinates, labels = point_tokens(
            count,
            None if points is None else embedding.frame.to_input(points),
            prompts.labels,
            None if boxes is None else _boxes_to_input(boxes, embedding.frame),
        )
        masks = np.zeros((count, *self._mask_size), np.float32) if given is None else given
        return self.decoder.run(
            image_embeddings=embedding.features,
            point_coords=coordinates,
            point_labels=labels,
            mask_input=masks[:, None],
            has_mask_input=np.array([given is not None], np.float32),
        )

    def _check_mask_size(self, prompts: Prompts) -> None:
        given = prompts.mask_logits
        if given is not None and given.shape[1:] != self._mask_size:
            rows, columns = self._mask_size
            raise InputError(
                f"mask logits must be {rows} x {columns}, got {given.shape[1]} x {given.shape[2]}: "
                "feed back the low-resolution logits of an earlier prediction of this model"
            )


@dataclass(frozen=True, eq=False)
class BoxMasks:
    """The masks in N boxes.

    Attributes:
        masks: (N, H, W) bool, at the image's size.
        predicted_ious: IoU of each mask with its object, as the model guesses it, (N,) float32.
    """

    masks: np.ndarray
    predicted_ious: np.ndarray


class OnnxBoxPredictor:
    """Cuts out what is in boxes, with the one graph that does it all; each call encodes anew."""

    def __init__(
        self, path: Path, *, providers: Sequence[str] = CPU_ONLY, threads: int = 0
    ) -> None:
        """Open the box graph in `path`; the rest is as for `OnnxPromptPredictor`.

        Raises:
            InputError: As there.
        """
        self.graph = open_graph(path, "box", providers=providers, threads=threads)

    def predict(self, image: np.ndarray, boxes: Sequence[Sequence[float]] | np.ndarray) -> BoxMasks:
        """Find the masks in boxes.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes: x0, y0, x1, y1 in pixels of the image, (N, 4).

        Raises:
            InputError: The array is no RGB image, or a box is empty or lies outside it.
        """
        metadata = self.graph.metadata
        side = metadata.image_size
        pixels, frame = prepare_image(image, metadata, (side, side))
        Prompts(boxes=boxes).check_inside(*frame.image_size)
        in_frame = _boxes_to_input(np.asarray(boxes), frame).astype(np.float32)
        logits, ious = self.graph.run(image=pixels, boxes=in_frame[None])
        masks = np.empty((len(in_frame), *frame.image_size), np.bool_)
        for mask, square in zip(masks, logits[0], strict=True):
            mask[:] = to_image(square, frame) > metadata.mask_threshold
        return BoxMasks(masks, ious[0])


def _boxes_to_input(boxes: np.ndarray, frame: MaskFrame) -> np.ndarray:
    """Boxes (N, 4) of the image in the model's input."""
    return frame.to_input(boxes.reshape(-1, 2, 2)).reshape(-1, 4)


def _mask_size(decoder: OnnxGraph) -> tuple[int, int]:
    """Rows and columns of the low-resolution logits."""
    rows, columns = decoder.input_shape("mask_input")[2:]
    return int(rows), int(columns)
