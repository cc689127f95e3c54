"""The whole network: pixels to `ImageFeatures` once, then any number of prompts."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.errors import InputError
from seg_assets.modeling.pixels import PIXEL_MEAN, PIXEL_STD
from seg_assets.modeling.seem.config import SeemConfig
from seg_assets.modeling.seem.decoder import QueryDecoder
from seg_assets.modeling.seem.features import ImageFeatures, Prediction
from seg_assets.modeling.seem.focalnet import FocalNet
from seg_assets.modeling.seem.language import LanguageEncoder
from seg_assets.modeling.seem.pixel_decoder import PixelDecoder
from seg_assets.modeling.seem.prompts import (
    PointChoice,
    RegionPrompt,
    TextPrompt,
    draw_points,
    even_subset,
)

DIVISOR = 32  # of height and width, by zero padding; some adapters need twice as much


def preprocess(image: Tensor, divisor: int = DIVISOR) -> Tensor:
    """Normalise an image, then pad it with zeros, right and bottom, to multiples of `divisor`.

    Args:
        image: (3, H, W) uint8 RGB, at least 1x1.
        divisor: of the padded height and width.

    Returns:
        (1, 3, H', W') float32.

    Raises:
        InputError: the image has another shape or type.
    """
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8 or not image.numel():
        raise InputError(
            f"SEEM was given an image of shape {tuple(image.shape)} and type {image.dtype}; "
            "give RGB of shape (3, H, W) and type uint8."
        )
    mean, std = (
        torch.tensor(values, device=image.device)[:, None, None]
        for values in (PIXEL_MEAN, PIXEL_STD)
    )
    height, width = image.shape[-2:]
    return F.pad((image.float() - mean) / std, (0, -width % divisor, 0, -height % divisor))[None]


class SegmentationHead(nn.Module):
    """Pixel decoder and query decoder; a module because the key names have this level."""

    def __init__(self, config: SeemConfig) -> None:
        super().__init__()
        self.pixel_decoder = PixelDecoder(config)
        self.predictor = QueryDecoder(config)


class Seem(nn.Module):
    """SEEM under the parameter names of `seem_focall_v1.pt`."""

    def __init__(self, config: SeemConfig) -> None:
        super().__init__()
        self.config = config
        self.divisor = DIVISOR
        self.backbone = FocalNet(config)
        self.sem_seg_head = SegmentationHead(config)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.language.lang_proj.device

    @property
    def predictor(self) -> QueryDecoder:
        """The query decoder."""
        return self.sem_seg_head.predictor

    @property
    def language(self) -> LanguageEncoder:
        """The text encoder."""
        return self.predictor.lang_encoder

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """Backbone and pixel decoder on one image (3, H, W) uint8 RGB of any size."""
        height, width = image.shape[-2:]
        images = preprocess(image.to(self.device), self.divisor)
        return self.encode_images(images, (height, width))

    def encode_images(self, images: Tensor, image_size: tuple[int, int]) -> ImageFeatures:
        """Backbone and pixel decoder on a batch.

        Args:
            images: (B, 3, H, W) float, normalised and padded to multiples of `divisor`.
            image_size: height and width before padding, alike for the whole batch.
        """
        height, width = images.shape[-2:]
        pixels = self.sem_seg_head.pixel_decoder(self.backbone(images))
        return self.predictor.prepare(pixels, (height, width), image_size)

    def read_masks(
        self,
        features: ImageFeatures,
        masks: Tensor,
        *,
        choose: PointChoice = even_subset,
        indices: Mapping[str, Sequence[Tensor]] | None = None,
        positive: bool = True,
    ) -> RegionPrompt:
        """Masks of one image as N prompts, to be decoded on this or on another image.

        Args:
            features: of the image that the masks belong to.
            masks: (N, H, W) bool, at the size of that image.
            choose: which points to keep of masks with more than `max_points` pixels.
            indices: the points to keep, given one by one; see `draw_points`.
            positive: what is inside the mask is wanted (else it is what to keep out).

        Raises:
            InputError: `masks` has another shape.
        """
        points = draw_points(
            masks.to(self.device), features.padded_size, self.config.max_points, choose, indices
        )
        return self.predictor.region_prompt(features, points, positive=positive)

    def read_texts(self, ids: Tensor, attention: Tensor, *, joined: bool = False) -> TextPrompt:
        """Tokenised texts (N, L) as N prompts, or as one that joins them."""
        return self.language.read_texts(
            ids.to(self.device), attention.to(self.device), joined=joined
        )

    def decode(
        self,
        features: ImageFeatures,
        text_table: Tensor,
        *,
        text: TextPrompt | None = None,
        regions: Sequence[RegionPrompt] = (),
        auxiliary: bool = False,
    ) -> Prediction:
        """Object queries under N prompts, or under none; see `QueryDecoder.forward`."""
        return self.predictor(features, text_table, text=text, regions=regions, auxiliary=auxiliary)
