"""From binary masks to the points and tokens that the query decoder reads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seg_assets.errors import InputError

SLOTS = ("mean", "l0", "l1", "l2")
"""What points are drawn for: the mean mask feature, and the tokens of each of the three levels."""

PointChoice = Callable[[int, int, str], Tensor]
"""(points there are, points to keep at most, slot) -> indices (k,) int64 of those to keep."""


@dataclass(frozen=True)
class Points:
    """Positions in N masks, padded to equal length.

    Attributes:
        xy: (N, P, 2) float32, column and row over the padded image's width and height, 0..1.
        valid: (N, P) bool, False for padding.
    """

    xy: Tensor
    valid: Tensor


@dataclass(frozen=True)
class RegionPrompt:
    """N masks read off one image.

    Attributes:
        tokens: per level (N, P, hidden).
        valid: per level (N, P) bool, False for padding.
        query: (N, mask_dim), the mean mask feature; zero for an empty mask.
    """

    tokens: list[Tensor]
    valid: list[Tensor]
    query: Tensor


@dataclass(frozen=True)
class TextPrompt:
    """Texts as prompts.

    Attributes:
        tokens: (N, T, hidden) word embeddings, not normalised.
        valid: (N, T) bool, False for padding.
        sentences: (M, hidden) sentence embeddings, not normalised; M = N, or any M for one row of
            joined texts.
    """

    tokens: Tensor
    valid: Tensor
    sentences: Tensor


def even_subset(count: int, limit: int, slot: str) -> Tensor:
    """Evenly spaced points in reading order, alike in all slots: the default.

    Args:
        count: points there are.
        limit: points to keep at most.
        slot: ignored.

    Returns:
        (min(count, limit),) int64, ascending.
    """
    if count <= limit:
        return torch.arange(count)
    return torch.arange(limit) * count // limit


def random_subset(seed: int) -> PointChoice:
    """Random points, drawn anew for every slot as upstream does, yet the same for the same seed.

    A draw depends on nothing but seed, slot and sizes: a mask keeps its points in any batch.
    """

    def choose(count: int, limit: int, slot: str) -> Tensor:
        if count <= limit:
            return torch.arange(count)
        generator = torch.Generator().manual_seed(len(SLOTS) * seed + SLOTS.index(slot))
        return torch.randperm(count, generator=generator)[:limit]

    return choose


def mask_tensor(masks: np.ndarray, image_size: tuple[int, int]) -> Tensor:
    """A caller's masks, (N, H, W) or (H, W) of any type, as (N, H, W) bool; N may be 0.

    Raises:
        InputError: they have not the size of the image.
    """
    given = np.asarray(masks)
    found = given[None] if given.ndim == 2 else given
    if found.ndim != 3 or found.shape[1:] != image_size:
        raise InputError(
            f"Mask prompts have the shape {given.shape}; give (N, {image_size[0]}, "
            f"{image_size[1]}), the size of the image."
        )
    return torch.from_numpy(np.array(found, dtype=bool, order="C"))


def refuse_empty(masks: Tensor) -> None:
    """Check that every mask (N, H, W) has a pixel.

    Raises:
        InputError: naming the first empty one.
    """
    empty = (~masks.flatten(1).any(1)).nonzero()[:, 0].tolist()
    if empty:
        raise InputError(f"Mask prompt {empty[0]} is empty; leave it out, it asks for nothing.")


def pixel_lists(masks: Tensor, padded_size: tuple[int, int]) -> list[Tensor]:
    """The points of each mask: pixel index over padded size, without half-pixel offset.

    Args:
        masks: (N, H, W) bool, at image size.
        padded_size: height and width of the padded image.

    Returns:
        N tensors (K, 2) float32 of (x, y) in 0..1, in reading order.
    """
    height, width = padded_size
    scale = torch.tensor([width, height], device=masks.device, dtype=torch.float32)
    return [mask.nonzero().flip(1) / scale for mask in masks]


def draw_points(
    masks: Tensor,
    padded_size: tuple[int, int],
    limit: int,
    choose: PointChoice = even_subset,
    indices: Mapping[str, Sequence[Tensor]] | None = None,
) -> dict[str, Points]:
    """Points of N masks for each slot.

    Args:
        masks: (N, H, W) bool, at image size; empty masks are allowed.
        padded_size: height and width of the padded image.
        limit: points to keep per mask and slot.
        choose: which to keep when there are more.
        indices: slot -> one index tensor (k,) per mask, instead of `choose`.

    Returns:
        Slot -> `Points`.

    Raises:
        InputError: `masks` is not (N, H, W) with N > 0, or larger than the image.
    """
    if masks.ndim != 3 or len(masks) == 0:
        raise InputError(
            f"Mask prompts have the shape {tuple(masks.shape)}; "
            "give (N, H, W) with at least one mask."
        )
    if masks.shape[1] > padded_size[0] or masks.shape[2] > padded_size[1]:
        raise InputError(
            f"Mask prompts of {masks.shape[2]}x{masks.shape[1]} pixels do not fit the image; "
            "give them at the size of the image."
        )
    lists = pixel_lists(masks.bool(), padded_size)
    result = {}
    for slot in SLOTS:
        if indices is None:
            chosen = [choose(len(points), limit, slot) for points in lists]
        else:
            chosen = list(indices[slot])
        kept = [points[pick.to(points.device)] for points, pick in zip(lists, chosen, strict=True)]
        result[slot] = pad_points(kept)
    return result


def pad_points(lists: Sequence[Tensor]) -> Points:
    """N lists (K_i, 2) -> `Points` as long as the longest list, at least 1."""
    lengths = torch.tensor([len(points) for points in lists], device=lists[0].device)
    longest = max(1, int(lengths.max()))
    xy = torch.stack([F.pad(points, (0, 0, 0, longest - len(points))) for points in lists])
    return Points(xy, torch.arange(longest, device=xy.device) < lengths[:, None])


def sample(feature_map: Tensor, xy: Tensor) -> Tensor:
    """Read a map at points: bilinear, the map's corners at 0 and 1, zero outside.

    Coordinates stay in float32 under autocast: float16 cannot tell the cells of a large map apart.

    Args:
        feature_map: (1, C, h, w).
        xy: (N, P, 2) in 0..1.

    Returns:
        (N, P, C).
    """
    feature_map = feature_map.to(torch.promote_types(feature_map.dtype, xy.dtype))
    grid = (2 * xy - 1)[None].to(feature_map.dtype)
    values = F.grid_sample(
        feature_map, grid, mode="bilinear", padding_mode="zeros", align_corners=True
    )
    return values[0].permute(1, 2, 0)


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of (N, P, C) over the valid points (N, P) -> (N, C); zero where there are none."""
    weight = valid[..., None].to(values.dtype)
    return (values * weight).sum(1) / weight.sum(1).clamp(min=1)
