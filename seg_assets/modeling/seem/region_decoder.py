"""The classes of many regions of one image, and nothing else about them.

What `QueryDecoder` does for mask prompts, rearranged for hundreds of regions: layer by layer
instead of batch by batch, so that all that a layer needs of the image is made once for all regions
and then forgotten; without masks; with class logits of one query per region.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.modeling.mask_models.batches import points_that_fit, run_in_batches
from seg_assets.modeling.seem.config import LEVELS
from seg_assets.modeling.seem.decoder import (
    CROSS_ADAPTERS,
    FFN_ADAPTERS,
    SELF_ADAPTERS,
    QueryDecoder,
)
from seg_assets.modeling.seem.decoder_layers import CrossAttentionLayer, SelfAttentionLayer
from seg_assets.modeling.seem.features import ImageFeatures, visible_cells
from seg_assets.modeling.seem.layers import Attention, full_precision, unit
from seg_assets.modeling.seem.postprocess import match_region
from seg_assets.modeling.seem.prompts import Points
from seg_assets.modeling.seem.sampling import Taps, bilinear_taps, mean_at, read_rows

# Of the finest attention mask, in elements: what the caches of a CPU hold, and what a GPU needs for
# each in bytes (mask logits, mask, weights), and for each number of a region's tokens.
CPU_ELEMENTS = 2**20
BYTES_PER_ELEMENT = 16
BYTES_PER_TOKEN_NUMBER = 24


class RegionClasses(NamedTuple):
    """What the matched queries say about N regions.

    Attributes:
        logits: (N, classes + 1), of the query that fits the region best; the last is "no object".
        query: (N,) int64, that query: the first one of the largest similarity.
    """

    logits: Tensor
    query: Tensor


def can_share(decoder: QueryDecoder) -> bool:
    """Whether the decoder's attention is its own, so that its parts may be called one by one.

    Adapters are no obstacle; low-rank updates that have not been merged are.
    """
    layers = [
        *decoder.transformer_cross_attention_layers,
        *decoder.transformer_self_attention_layers,
    ]
    attentions = [getattr(x, "multihead_attn", None) or x.self_attn for x in layers]
    return all(type(attention) is Attention for attention in attentions)


def regions_at_once(decoder: QueryDecoder, features: ImageFeatures, points: int) -> int:
    """How many regions of so many points each to decode together on the device of the features."""
    queries, dim = decoder.query_feat.weight.shape
    elements = queries * max(height * width for height, width in features.sizes)
    device = features.mask_features.device
    if device.type != "cuda":
        return max(1, CPU_ELEMENTS // elements)
    needed = elements * BYTES_PER_ELEMENT + points * dim * BYTES_PER_TOKEN_NUMBER
    return points_that_fit(device, needed)


def decode_regions(
    decoder: QueryDecoder,
    features: ImageFeatures,
    text_table: Tensor,
    points: Mapping[str, Points],
    *,
    batch: int,
) -> RegionClasses:
    """Decode N mask prompts on one image.

    Batches hold regions with about as many points; where GPU memory is short they are halved.
    Results equal those of one region at a time but for the rounding of sums.

    Args:
        decoder: one that cannot share (`can_share`) decodes each batch as `QueryDecoder` does.
        features: of one image.
        text_table: (classes + 1, hidden), unit vectors.
        points: slot -> points of the N regions.
        batch: regions decoded together.
    """
    if not can_share(decoder):
        return _decode_plainly(decoder, features, text_table, points, batch)
    order = points["l0"].valid.sum(1).argsort(descending=True, stable=True)
    tokens = [_RegionPoints.of(points[f"l{i}"], order, features.sizes[i]) for i in range(LEVELS)]
    query = mean_at(features.mask_features, points["mean"])[order]
    objects = decoder.query_feat.weight[None]
    for i in range(len(decoder.transformer_ffn_layers)):
        layer = _Layer(decoder, features, i, tokens[i % LEVELS])
        shared = layer.read_image(objects) if i == 0 else None  # until there all are alike

        def run(start: int, stop: int, layer=layer, shared=shared, objects=objects) -> Tensor:
            if shared is None:
                part = layer.read_image(objects[start:stop])
            else:
                part = shared.expand(stop - start, -1, -1)
            return layer.read_region(part, start, stop)

        parts = list(run_in_batches(len(order), batch, run))
        batch = min(batch, max(len(part) for part in parts))
        objects = torch.cat(parts)

    def match(start: int, stop: int) -> RegionClasses:
        return _match(decoder, objects[start:stop], query[start:stop], text_table)

    found = list(run_in_batches(len(order), batch, match))
    back = order.argsort()
    return RegionClasses(*(torch.cat(parts)[back] for parts in zip(*found, strict=True)))


def _decode_plainly(
    decoder: QueryDecoder,
    features: ImageFeatures,
    text_table: Tensor,
    points: Mapping[str, Points],
    batch: int,
) -> RegionClasses:
    def run(start: int, stop: int) -> RegionClasses:
        part = {
            slot: Points(at.xy[start:stop], at.valid[start:stop]) for slot, at in points.items()
        }
        region = decoder.region_prompt(features, part)
        prediction = decoder(features, text_table, regions=[region])
        query = match_region(prediction, region.query).query
        rows = torch.arange(len(query), device=query.device)
        return RegionClasses(prediction.logits[rows, query], query)

    found = list(run_in_batches(len(points["mean"].xy), batch, run))
    return RegionClasses(*(torch.cat(parts) for parts in zip(*found, strict=True)))


@dataclass(frozen=True)
class _RegionPoints:
    """Where the tokens of N regions read one level; regions with more points first."""

    taps: Taps
    counts: Tensor  # (N,) int64

    @classmethod
    def of(cls, points: Points, order: Tensor, size: tuple[int, int]) -> "_RegionPoints":
        return cls(bilinear_taps(points.xy[order], size), points.valid[order].sum(1))

    def part(self, start: int, stop: int) -> tuple[Taps, Tensor]:
        """Of some regions: taps as long as their longest list, and which of them are points."""
        counts = self.counts[start:stop]
        longest = max(1, int(counts[0]))
        cells, weights = (x[start:stop, :longest] for x in self.taps)
        known = torch.arange(longest, device=counts.device) < counts[:, None]
        return Taps(cells, weights), known


class _Layer:
    """One layer of the decoder and what it needs of the image, made once for all regions."""

    def __init__(
        self, decoder: QueryDecoder, features: ImageFeatures, index: int, points: _RegionPoints
    ) -> None:
        level = index % LEVELS
        self.decoder, self.index, self.points = decoder, index, points
        self.places = decoder.query_embed.weight
        cross = decoder.transformer_cross_attention_layers[index]
        self_attention = decoder.transformer_self_attention_layers[index]
        self.cross = cast(CrossAttentionLayer, cross)
        self.self_attention = cast(SelfAttentionLayer, self_attention)
        self.mask_features = features.level_mask_features[level]
        memory = features.memory[level]
        self.keys, self.values = self.cross.multihead_attn.keys_and_values(
            memory + features.positions[level], memory
        )
        cells = features.region_maps[level][0].flatten(1).T + decoder.pn_indicator.weight[0]
        # The projection of an interpolated cell is the interpolation of projected cells: whichever
        # are fewer, cells or points, are projected.
        self.projected = len(cells) <= int(points.counts.sum())
        self.rows = self._project(cells) if self.projected else cells

    def read_image(self, objects: Tensor) -> Tensor:
        """Object queries (n, Q, C) look at the image, each inside its own mask."""
        embeddings = self.decoder.mask_embeddings(objects, self.index)
        visible = visible_cells(embeddings, self.mask_features)
        x = self.cross.read(objects, self.places, self.keys, self.values, visible)
        return self._adapted(CROSS_ADAPTERS, x)

    def read_region(self, objects: Tensor, start: int, stop: int) -> Tensor:
        """Object queries (n, Q, C) look at each other and at the points of their region."""
        taps, known = self.points.part(start, stop)
        tokens = read_rows(self.rows, taps)
        if not self.projected:
            tokens = self._project(tokens)
        heads = self.self_attention.self_attn.heads
        keys, values = (
            x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in tokens.chunk(2, dim=-1)
        )
        allowed = None
        if not bool(known.all()):
            everyone = known.new_ones(len(known), objects.shape[1])
            allowed = torch.cat([everyone, known], 1)[:, None, None]
        x = self.self_attention.read(objects, self.places, keys, values, allowed)
        x = self.decoder.transformer_ffn_layers[self.index](self._adapted(SELF_ADAPTERS, x))
        return self._adapted(FFN_ADAPTERS, x)

    def _project(self, tokens: Tensor) -> Tensor:
        """Keys and values of region tokens (..., C) -> (..., 2 C); the key is twice the token."""
        attention = self.self_attention.self_attn
        weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        keys = F.linear(2 * tokens, weights[1], biases[1])
        return torch.cat([keys, F.linear(tokens, weights[2], biases[2])], -1)

    def _adapted(self, name: str, x: Tensor) -> Tensor:
        adapters: nn.ModuleList | None = getattr(self.decoder, name)
        return x if adapters is None else adapters[self.index](x)


def _match(
    decoder: QueryDecoder, objects: Tensor, region_query: Tensor, text_table: Tensor
) -> RegionClasses:
    """The query whose mask is most like each region, and its class logits."""
    embeddings = full_precision(decoder.mask_embeddings(objects))
    similarity = (embeddings @ region_query.to(embeddings.dtype)[..., None])[..., 0]
    query = similarity.argmax(1)
    matched = objects[torch.arange(len(query), device=query.device), query]
    captions = decoder.decoder_norm(matched) @ decoder.class_embed
    logits = decoder.lang_encoder.logit_scale.exp() * unit(captions) @ text_table.T
    return RegionClasses(full_precision(logits), query)
