"""Prompts of a whole batch: each image is asked about its own masks and its own texts."""

import torch
from torch import Tensor
from torch.nn import functional as F

from seg_assets.modeling.seem.config import LEVELS
from seg_assets.modeling.seem.decoder import QueryDecoder
from seg_assets.modeling.seem.features import ImageFeatures
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.prompts import (
    RegionPrompt,
    TextPrompt,
    even_subset,
    masked_mean,
    pad_points,
    pixel_lists,
)


def read_own_masks(
    decoder: QueryDecoder,
    features: ImageFeatures,
    masks: Tensor,
    limit: int,
    *,
    positive: bool = True,
) -> RegionPrompt:
    """One mask of each image as a prompt to that image; an empty one has no valid tokens.

    Args:
        decoder: the query decoder.
        features: of B images.
        masks: (B, H, W) bool.
        limit: points per mask, evenly spaced as in inference.
        positive: what is inside is wanted, else it is to be kept out.

    Returns:
        B prompts.
    """
    lists = pixel_lists(masks, features.padded_size)
    kept = [found[even_subset(len(found), limit, "mean").to(found.device)] for found in lists]
    points = pad_points(kept)
    sign = decoder.pn_indicator.weight[0 if positive else 1]
    tokens = [read_cells(features.region_maps[level], points.xy) + sign for level in range(LEVELS)]
    query = masked_mean(read_cells(features.mask_features, points.xy), points.valid)
    return RegionPrompt(tokens, [points.valid] * LEVELS, query)


def read_cells(maps: Tensor, xy: Tensor) -> Tensor:
    """Read each image's map at its own points, corners at 0 and 1 as the decoder does it.

    Args:
        maps: (B, C, h, w).
        xy: (B, P, 2) in 0..1.

    Returns:
        (B, P, C).
    """
    maps = maps.to(torch.promote_types(maps.dtype, xy.dtype))
    grid = (2 * xy - 1)[:, :, None].to(maps.dtype)
    values = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return values[..., 0].mT


def read_own_texts(model: Seem, words: Tensor, valid: Tensor) -> tuple[TextPrompt, Tensor]:
    """The texts of each image, joined to one prompt to that image.

    Args:
        model: whose text encoder is asked.
        words: (B, T, L) int64 token ids.
        valid: (B, T, L) bool.

    Returns:
        B prompts of T * L words, and the sentences (B, T, hidden), not normalised.
    """
    tokens, sentences = model.language.encode(words.flatten(0, 1))
    joined = tokens.reshape(len(words), -1, tokens.shape[-1])
    return (
        TextPrompt(joined, valid.flatten(1), sentences),
        sentences.unflatten(0, words.shape[:2]),
    )
