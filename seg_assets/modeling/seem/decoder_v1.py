"""The v1.0 wiring of the same weights, as the multi-object model was trained.

Object queries keep to themselves here, so prompts change nothing about the plain prediction:

* objects: `Seem.decode` without prompts;
* texts: a copy of the object queries and the words, which see each other. That is what
  `Seem.decode` computes for a text prompt alone, to the last bit;
* masks: three copies of object queries for each mask, which see each other and the tokens of
  their mask, and from the second round on memory slots that look where the mask of the round
  before was. That is `decode_masks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from seg_assets.errors import InputError
from seg_assets.modeling.seem.decoder import QueryDecoder
from seg_assets.modeling.seem.features import ImageFeatures, mask_logits, visible_cells
from seg_assets.modeling.seem.prompts import SLOTS, even_subset, pixel_lists, sample

COPIES = 3  # queries per mask


@dataclass(frozen=True)
class JointPoints:
    """Points of several masks in one list.

    Attributes:
        owner: (P,) int64, the mask that a point belongs to.
        xy: (P, 2) float32, column and row over the padded image's width and height, 0..1.
        sign: (P,) int64, 0 for a wanted point, 1 for one to keep out.
    """

    owner: Tensor
    xy: Tensor
    sign: Tensor


@dataclass(frozen=True)
class MaskRound:
    """What one round makes of N mask prompts.

    Attributes:
        masks: (N, H / 4, W / 4) logits; the next round takes them as `previous`.
        choice: (N,) int64, which of its three queries a mask chose.
        query: (N, mask_dim), the mean mask feature of the wanted points.
        embeddings: (heads, N, 3, mask_dim), of the last head and of those before each layer.
    """

    masks: Tensor
    choice: Tensor
    query: Tensor
    embeddings: Tensor


def joint_points(
    positive: Tensor, negative: Tensor | None, padded_size: tuple[int, int], limit: int
) -> dict[str, JointPoints]:
    """Evenly spaced points; the masks share the limit, and each keeps one point at least.

    Args:
        positive: (N, H, W) bool, what is wanted, at image size.
        negative: (N, H, W) bool, what to keep out, or None.
        padded_size: height and width of the padded image.
        limit: positive points of all masks together; as many again of negative ones.

    Returns:
        Slot -> points, alike for all slots.

    Raises:
        InputError: there are no masks, or the two sets differ in shape.
    """
    if positive.ndim != 3 or not len(positive):
        raise InputError(
            f"Mask prompts have the shape {tuple(positive.shape)}; "
            "give (N, H, W) with at least one mask."
        )
    if negative is not None and negative.shape != positive.shape:
        raise InputError(
            f"Negative mask prompts have the shape {tuple(negative.shape)}, positive ones "
            f"{tuple(positive.shape)}; give one of each per object, at the size of the image."
        )
    share = max(1, limit // len(positive))
    owners, places, signs = [], [], []
    for sign, masks in enumerate([positive] if negative is None else [positive, negative]):
        for owner, points in enumerate(pixel_lists(masks.bool(), padded_size)):
            chosen = points[even_subset(len(points), share, "mean").to(points.device)]
            places.append(chosen)
            owners += [owner] * len(chosen)
            signs += [sign] * len(chosen)
    device = positive.device
    points = JointPoints(
        torch.tensor(owners, dtype=torch.int64, device=device),
        torch.cat(places),
        torch.tensor(signs, dtype=torch.int64, device=device),
    )
    return dict.fromkeys(SLOTS, points)


def even_queries(decoder: QueryDecoder, count: int) -> Tensor:
    """The same three evenly spaced object queries for each of `count` masks: (3 * count,) int64.

    Upstream draws them at random, differently for each mask. With the same three a mask's queries
    do not depend on which masks it is decoded with.
    """
    weight = decoder.query_feat.weight
    return even_subset(len(weight), COPIES, "mean").to(weight.device).repeat(count)


def even_slots(decoder: QueryDecoder, count: int) -> Tensor:
    """Deal the memory slots out to `count` masks in turn, alike in every layer: (layers, slots)."""
    weight = decoder.spatial_embed.weight
    slots = torch.arange(len(weight), device=weight.device) % count
    return slots.expand(len(decoder.transformer_ffn_layers), -1)


def decode_masks(
    decoder: QueryDecoder,
    features: ImageFeatures,
    points: Mapping[str, JointPoints],
    queries: Tensor,
    *,
    previous: Tensor | None = None,
    slots: Tensor | None = None,
) -> MaskRound:
    """One round for N masks of one image.

    Args:
        decoder: the query decoder.
        features: of the image.
        points: slot -> points of the N masks.
        queries: (3 * N,) int64, three object queries per mask.
        previous: (N, H / 4, W / 4) mask logits of the round before, or None in the first.
        slots: (layers, memory slots) int64, the mask that each slot serves; by default the slots
            are dealt out in turn.
    """
    count = len(queries) // COPIES
    device = queries.device
    owner = torch.arange(count, device=device).repeat_interleave(COPIES)
    x = decoder.query_feat.weight[queries][None]
    places = decoder.query_embed.weight[queries][None]
    layers = len(decoder.transformer_ffn_layers)
    memory_owner = torch.zeros(layers, 0, dtype=torch.int64, device=device)
    if previous is not None:
        # the slots start from what was learned, in every round
        memory_owner = even_slots(decoder, count) if slots is None else slots
        x = torch.cat([x, decoder.spatial_featured.weight[None]], 1)
        places = torch.cat([places, decoder.spatial_embed.weight[None]], 1)
    rows = len(queries)
    trace: list[Tensor] = []
    for i, (level, cross, self_attention, ffn) in enumerate(decoder.layers()):
        trace.append(decoder.mask_embeddings(x[:, :rows], i))
        visible = visible_cells(trace[-1], features.level_mask_features[level])
        if previous is not None:
            seen = _visible_memory(previous, features.sizes[level])[memory_owner[i]]
            visible = torch.cat([visible, seen[None]], 1)
        x = cross(x, places, features.memory[level], features.positions[level], visible)
        at = points[f"l{level}"]
        tokens = sample(features.region_maps[level], at.xy[None]) + decoder.pn_indicator(at.sign)
        everyone = torch.cat([owner, memory_owner[i]])
        allowed = everyone[:, None] == torch.cat([everyone, at.owner])[None]
        # slots see slots of their mask and nothing else
        allowed[rows:, :rows] = False
        allowed[rows:, len(everyone) :] = False
        x = ffn(self_attention(x, places, tokens, allowed[None]))
    heads = torch.cat([decoder.mask_embeddings(x[:, :rows]), *trace])
    heads = heads.unflatten(1, (count, COPIES))
    embeddings = heads[0]
    query = _mean_features(features, points["mean"], count)
    choice = (embeddings @ query.to(embeddings.dtype)[..., None])[..., 0].argmax(1)
    chosen = embeddings[torch.arange(count, device=device), choice]
    masks = mask_logits(chosen[None], features.mask_features)[0]
    return MaskRound(masks, choice, query, heads)


def _visible_memory(previous: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, h, w) logits -> (N, cells of the level) bool: inside the mask; all if it is empty."""
    small = F.interpolate(previous[None], size=size, mode="bilinear", align_corners=False)[0]
    inside = (small >= 0).flatten(1)
    return inside | ~inside.any(-1, keepdim=True)


def _mean_features(features: ImageFeatures, points: JointPoints, count: int) -> Tensor:
    """Mean mask feature over the wanted points of each mask: (N, mask_dim), zero without points."""
    values = sample(features.mask_features, points.xy[None])[0]
    masks = torch.arange(count, device=values.device)
    weight = ((masks[:, None] == points.owner) & (points.sign == 0)).to(values.dtype)
    return weight @ values / weight.sum(1, keepdim=True).clamp(min=1)
