"""What the mask models of Hugging Face's transformers have in common.

The networks are transformers' own classes, so the published checkpoints load by their key names.
Scaling, normalisation and the choice of batches are ours; a test holds them against transformers'
image processors. transformers is an optional extra and imported only when a network is built.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from seg_assets.errors import CheckpointError
from seg_assets.modeling.mask_models.frame import MaskFrame
from seg_assets.modeling.mask_models.plain_points import decode_points_plainly
from seg_assets.modeling.mask_models.protocol import ImageEmbedding, KeepScores, PointMasks
from seg_assets.modeling.pixels import PIXEL_MEAN, PIXEL_STD, scaled_size

# Points decoded together where the caller does not say. At the published sizes each took 40 MB (SAM
# 2, measured); on a CPU larger batches were no faster.
_POINTS_AT_ONCE = {"cuda": 64}
_POINTS_AT_ONCE_ELSEWHERE = 4

# One random matrix codes the positions of prompts and of image cells. Networks hold it twice, files
# twice or once.
_POSITIONS = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)


class TransformersMaskModel(nn.Module, ABC):
    """A promptable network of transformers behind the protocol `MaskModel`.

    Keys of its state are those of the published checkpoint, not of the network inside. The encoder
    may run under autocast; prompts are always decoded in float32, because half precision would move
    a point by several pixels.

    Attributes:
        network: The network of transformers.
        square: Side of the network's input in pixels.
        mask_threshold: A pixel belongs to a mask where its logit is greater.
        candidates: Masks per prompt in multimask mode.
        logits_size: Rows and columns of the low-resolution logits.
        configs: Names of the configurations that `from_config` knows.
        keeps_aspect: Whether images are scaled by their long side and padded, else squeezed into
            the square. Squeezed images get their masks back in one step.
        unused_keys: Patterns of the checkpoint's keys that prompts on images do not need.
    """

    configs: ClassVar[tuple[str, ...]]
    keeps_aspect: ClassVar[bool]
    unused_keys: ClassVar[tuple[str, ...]] = ()

    network: Any  # a PreTrainedModel, whose class is there only where the extra is
    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self, network: nn.Module, *, square: int, logits_side: int, candidates: int
    ) -> None:
        """Take a network whose forward pass has the arguments of transformers' SAM models."""
        super().__init__()
        self.network = network
        self.square = square
        self.mask_threshold = 0.0
        self.candidates = candidates
        self.logits_size = (logits_side, logits_side)
        self.register_buffer("pixel_mean", torch.empty(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.empty(3, 1, 1), persistent=False)
        self.scale_pixels(PIXEL_MEAN, PIXEL_STD)

    @classmethod
    @abstractmethod
    def from_config(cls, config: str) -> Self:
        """Build one of `configs` with random weights, in evaluation mode.

        Raises:
            InputError: The extra `transformers` is not installed.
        """

    @abstractmethod
    def _encode(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Run the image encoder on (B, 3, S, S) pixels; B is the first size of all that returns."""

    @abstractmethod
    def _image_arguments(self, features: tuple[Tensor, ...]) -> dict[str, Any]:
        """How the network's forward pass takes what `_encode` gave."""

    def published_key(self, key: str) -> str:
        """Name in the published checkpoint of what the network calls `key`."""
        return key

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.pixel_mean.device

    @classmethod
    def ignored_keys(cls) -> tuple[str, ...]:
        """Patterns of keys that a file may hold or lack.

        One of the two names of the position matrix must be there; `load_state_dict` sees to it.
        """
        return (*cls.unused_keys, *(f"*{key}" for key in _POSITIONS))

    def scale_pixels(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set mean and deviation of the input, RGB on the 0..255 scale."""
        self.pixel_mean.copy_(torch.tensor(mean).view(3, 1, 1))
        self.pixel_std.copy_(torch.tensor(std).view(3, 1, 1))

    @torch.no_grad()
    def embed(self, images: Sequence[np.ndarray]) -> list[ImageEmbedding]:
        """Encode images of any sizes, each (H, W, 3) uint8 RGB, in one batch."""
        prepared = [self.prepare(image) for image in images]
        if not prepared:
            return []
        features = self._encode(torch.stack([pixels for pixels, _ in prepared]))
        return [
            ImageEmbedding(tuple(part[i : i + 1].float() for part in features), frame)
            for i, (_, frame) in enumerate(prepared)
        ]

    def prepare(self, image: np.ndarray) -> tuple[Tensor, MaskFrame]:
        """Scale an (H, W, 3) uint8 RGB image to the network's input.

        Returns:
            Normalised pixels, (3, S, S) float32 on the model's device, zero where padded; and where
            the image lies in them.
        """
        size = (image.shape[0], image.shape[1])
        rows, columns = (
            scaled_size(*size, self.square) if self.keeps_aspect else (self.square, self.square)
        )
        scaled = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(scaled)).to(self.device).permute(2, 0, 1)  # (3, r, c)
        pixels = (pixels - self.pixel_mean) / self.pixel_std
        frame = MaskFrame(
            image_size=size,
            input_size=(rows, columns),
            square=self.square,
            logits_size=self.logits_size,
            through_square=self.keeps_aspect,
        )
        return functional.pad(pixels, (0, self.square - columns, 0, self.square - rows)), frame

    @torch.no_grad()
    def decode(
        self,
        embedding: ImageEmbedding,
        *,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        mask_logits: Tensor | None = None,
        multimask: bool,
    ) -> tuple[Tensor, Tensor]:
        """Decode the prompts of N objects together; see `MaskModel.decode`."""
        features = embedding.features
        # The networks take (images, objects, ...). Mask prompts are added to the image, so objects
        # with masks go in as N images of one object each, others as one image of N objects.
        axis = 0 if mask_logits is None else 1
        if mask_logits is not None:
            features = tuple(part.expand(len(mask_logits), *part.shape[1:]) for part in features)
            mask_logits = mask_logits[:, None]  # (N, 1, rows, columns)
        with torch.autocast(self.device.type, enabled=False):
            output = self.network(
                **self._image_arguments(features),
                input_points=None if points is None else points.unsqueeze(axis),
                input_labels=None if labels is None else labels.unsqueeze(axis),
                input_boxes=None if boxes is None else boxes.unsqueeze(axis),
                input_masks=mask_logits,
                multimask_output=multimask,
            )
        # (1, N, M, rows, columns) or (N, 1, M, rows, columns) -> (N, M, rows, columns)
        return output.pred_masks.flatten(0, 1), output.iou_scores.flatten(0, 1)

    def decode_points(
        self,
        embedding: ImageEmbedding,
        points: Tensor,
        keep: KeepScores,
        points_per_batch: int | None = None,
    ) -> Iterator[PointMasks]:
        """Decode single points, each an object, for the masks whose scores are good enough.

        See `MaskModel.decode_points`.
        """
        at_once = _POINTS_AT_ONCE.get(self.device.type, _POINTS_AT_ONCE_ELSEWHERE)
        yield from decode_points_plainly(self, embedding, points, keep, points_per_batch or at_once)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The network's weights, under the keys of the published checkpoint."""
        own = self.network.state_dict(*args, **kwargs)
        return {self.published_key(key): value for key, value in own.items()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Take weights under the keys of the published checkpoint.

        Raises:
            CheckpointError: There is no matrix of positions.
        """
        names = {key: self.published_key(key) for key in self.network.state_dict()}
        own = {key: state_dict[name] for key, name in names.items() if name in state_dict}
        known = [own[key] for key in _POSITIONS if key in own]
        if not known:
            raise CheckpointError(
                f"the checkpoint does not fit {type(self).__name__}: its key "
                f"{names[_POSITIONS[0]]} is missing; is it the checkpoint of another model?"
            )
        for key in _POSITIONS:
            own.setdefault(key, known[0])
        return self.network.load_state_dict(own, strict=strict, assign=assign)
