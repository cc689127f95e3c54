"""Query decoder: object queries look at the image, at each other and at prompt tokens.

This is the wiring of upstream's demo decoder: object queries read the prompt tokens directly.
`decoder_v1.py` wires the same weights as the multi-object model was trained.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_assets.errors import InputError
from seg_assets.modeling.seem.config import LEVELS, SeemConfig
from seg_assets.modeling.seem.decoder_layers import (
    CrossAttentionLayer,
    FeedForward,
    MaskEmbed,
    SelfAttentionLayer,
)
from seg_assets.modeling.seem.features import ImageFeatures, Prediction, visible_cells
from seg_assets.modeling.seem.language import LanguageEncoder
from seg_assets.modeling.seem.layers import full_precision, sine_positions, unit
from seg_assets.modeling.seem.pixel_decoder import PixelFeatures
from seg_assets.modeling.seem.prompts import (
    Points,
    RegionPrompt,
    TextPrompt,
    masked_mean,
    sample,
)

# The lists of adapters that a decoder may carry (`adapters.py`): behind the three parts of each
# layer, and beside the mask embedding of each prediction head.
CROSS_ADAPTERS = "transformer_cross_attention_layers_adapters"
SELF_ADAPTERS = "transformer_self_attention_layers_adapters"
FFN_ADAPTERS = "transformer_ffn_layers_adapters"
HEAD_ADAPTERS = "predictions_heads_mask_embs_adapters"
LAST_HEAD = -1

Layer = Callable[..., Tensor]


class QueryDecoder(nn.Module):
    """Query decoder under upstream's parameter names."""

    def __init__(self, config: SeemConfig) -> None:
        super().__init__()
        dim, heads, count = config.hidden, config.heads, config.decoder_layers
        self.lang_encoder = LanguageEncoder(config)
        self.transformer_cross_attention_layers = nn.ModuleList(
            CrossAttentionLayer(dim, heads) for _ in range(count)
        )
        self.transformer_self_attention_layers = nn.ModuleList(
            SelfAttentionLayer(dim, heads) for _ in range(count)
        )
        self.transformer_ffn_layers = nn.ModuleList(
            FeedForward(dim, config.ffn) for _ in range(count)
        )
        self.decoder_norm = nn.LayerNorm(dim)
        self.query_feat = nn.Embedding(config.queries, dim)
        self.query_embed = nn.Embedding(config.queries, dim)
        self.level_embed = nn.Embedding(LEVELS, dim)
        self.class_embed = nn.Parameter(torch.randn(dim, dim) * dim**-0.5)
        self.mask_embed = MaskEmbed(dim, config.mask_dim)
        self.pn_indicator = nn.Embedding(2, dim)
        # the key names have this spelling
        self.mask_sptial_embed = nn.ParameterList(
            torch.randn(dim, dim) * dim**-0.5 for _ in range(LEVELS)
        )
        # in every checkpoint, read by the v1.0 wiring only
        self.spatial_embed = nn.Embedding(config.memory_slots, dim)
        self.spatial_featured = nn.Embedding(config.memory_slots, dim)
        for name in (CROSS_ADAPTERS, SELF_ADAPTERS, FFN_ADAPTERS, HEAD_ADAPTERS):
            self.register_module(name, None)

    def layers(self) -> Iterator[tuple[int, Layer, Layer, Layer]]:
        """(level, cross attention, self attention, feed-forward) in order; levels take turns."""
        stacks = zip(
            _adapted(self.transformer_cross_attention_layers, getattr(self, CROSS_ADAPTERS)),
            _adapted(self.transformer_self_attention_layers, getattr(self, SELF_ADAPTERS)),
            _adapted(self.transformer_ffn_layers, getattr(self, FFN_ADAPTERS)),
            strict=True,
        )
        for i, (cross, self_attention, ffn) in enumerate(stacks):
            yield i % LEVELS, cross, self_attention, ffn

    def prepare(
        self, pixels: PixelFeatures, padded_size: tuple[int, int], image_size: tuple[int, int]
    ) -> ImageFeatures:
        """Everything that does not depend on prompts, once per image."""
        memory, positions, sizes, resized, regions = [], [], [], [], []
        for level, feature_map in enumerate(pixels.pyramid):
            height, width = feature_map.shape[-2:]
            source = feature_map + self.level_embed.weight[level][:, None, None]
            cells = source.flatten(2).transpose(1, 2)
            memory.append(cells)
            positions.append(
                sine_positions(height, width, cells.shape[-1], cells.device, cells.dtype)
            )
            sizes.append((height, width))
            # resizing the features resizes every mask: both are linear
            resized.append(
                F.interpolate(
                    pixels.mask_features.detach(),
                    size=(height, width),
                    mode="bilinear",
                    align_corners=False,
                )
            )
            # sampling and the matrix commute, so the matrix is applied to the map once
            mapped = cells @ self.mask_sptial_embed[level]
            regions.append(mapped.transpose(1, 2).unflatten(2, (height, width)))
        return ImageFeatures(
            pixels.mask_features,
            memory,
            positions,
            sizes,
            resized,
            regions,
            padded_size,
            image_size,
        )

    def region_prompt(
        self, features: ImageFeatures, points: dict[str, Points], *, positive: bool = True
    ) -> RegionPrompt:
        """Read N prompts off one image at the points that `draw_points` made."""
        sign = self.pn_indicator.weight[0 if positive else 1]
        levels = [points[f"l{level}"] for level in range(LEVELS)]
        tokens = [
            sample(region, at.xy) + sign
            for region, at in zip(features.region_maps, levels, strict=True)
        ]
        mean = points["mean"]
        query = masked_mean(sample(features.mask_features, mean.xy), mean.valid)
        return RegionPrompt(tokens, [at.valid for at in levels], query)

    def heads(self, queries: Tensor, text_table: Tensor, head: int = LAST_HEAD) -> Prediction:
        """Class logits, caption and mask embeddings of queries (N, Q, C).

        Head 0 stands before the first layer, head i behind layer i - 1.
        """
        z = self.decoder_norm(queries)
        captions = z @ self.class_embed
        logits = self.lang_encoder.logit_scale.exp() * unit(captions) @ text_table.T
        return Prediction(
            full_precision(logits), full_precision(captions), full_precision(self._masks(z, head))
        )

    def mask_embeddings(self, queries: Tensor, head: int = LAST_HEAD) -> Tensor:
        """Mask embeddings alone: (N, Q, C) -> (N, Q, mask_dim)."""
        return self._masks(self.decoder_norm(queries), head)

    def _masks(self, z: Tensor, head: int) -> Tensor:
        adapters = getattr(self, HEAD_ADAPTERS)
        embeddings = self.mask_embed(z)
        return embeddings if adapters is None else embeddings + adapters[head](z)

    def forward(
        self,
        features: ImageFeatures,
        text_table: Tensor,
        *,
        text: TextPrompt | None = None,
        regions: Sequence[RegionPrompt] = (),
        auxiliary: bool = False,
    ) -> Prediction:
        """Decode N prompts, or none, for B images; N is a multiple of B and image-major.

        Args:
            features: of the B images.
            text_table: (classes + 1, hidden), unit vectors.
            text: words of N prompts, or of one that all share.
            regions: mask prompts, negative points and reference images of N prompts each, or of
                one that all share.
            auxiliary: also keep the predictions made before each layer.

        Returns:
            `Prediction` of the object queries.

        Raises:
            InputError: the prompts differ in number, or do not divide among the images.
        """
        total = prompt_count(features, text, regions)
        images = features.mask_features.shape[0]
        count = self.query_feat.num_embeddings
        objects = self.query_feat.weight.expand(images, -1, -1)
        places = self.query_embed.weight
        words = word_places = objects[:, :0].new_zeros(total, 0, objects.shape[-1])
        if text is not None:
            words = word_places = text.tokens.expand(total, -1, -1)
        trace: list[Prediction] = []
        for i, (level, cross, self_attention, ffn) in enumerate(self.layers()):
            if auxiliary:
                trace.append(self.heads(objects, text_table, i))
                embeddings = trace[-1].mask_embeddings
            else:  # between layers nobody asks for classes
                embeddings = self.mask_embeddings(objects, i)
            visible = visible_cells(embeddings, features.level_mask_features[level])
            objects = cross(
                objects, places, features.memory[level], features.positions[level], visible
            )
            if i == 0:  # until here all prompts of an image are alike
                objects = objects.repeat_interleave(total // images, 0)
            tokens = [region.tokens[level].expand(total, -1, -1) for region in regions]
            mixed = torch.cat([objects, words], 1)
            mixed = self_attention(
                mixed,
                torch.cat([places.expand(total, -1, -1), word_places], 1),
                torch.cat(tokens, 1) if tokens else mixed[:, :0],
                wiring(count, text, regions, level),
            )
            mixed = ffn(mixed)
            objects, words = mixed[:, :count], mixed[:, count:]
        return replace(self.heads(objects, text_table), auxiliary=trace)


def _adapted(layers: Iterable[nn.Module], adapters: Iterable[nn.Module] | None) -> Iterator[Layer]:
    """The layers, each followed by its adapter where there are adapters."""
    if adapters is None:
        yield from layers
        return
    for layer, adapter in zip(layers, adapters, strict=True):
        yield _followed(layer, adapter)


def _followed(layer: Layer, adapter: Layer) -> Layer:
    def run(*inputs: Tensor | None) -> Tensor:
        return adapter(layer(*inputs))

    return run


def prompt_count(
    features: ImageFeatures, text: TextPrompt | None, regions: Sequence[RegionPrompt]
) -> int:
    """How many prompts a call decodes, over all images.

    Raises:
        InputError: the prompts differ in number, or do not divide among the images.
    """
    images = features.mask_features.shape[0]
    numbers = {len(region.query) for region in regions}
    if text is not None:
        numbers.add(len(text.tokens))
    numbers.discard(1)  # shared by all
    if len(numbers) > 1:
        raise InputError(
            f"Prompts decoded together differ in number ({sorted(numbers)}); "
            "give as many of each kind, or one that all share."
        )
    total = numbers.pop() if numbers else images
    if total % images:
        raise InputError(f"{total} prompts do not divide among {images} images; give n for each.")
    return total


def wiring(
    count: int, text: TextPrompt | None, regions: Sequence[RegionPrompt], level: int
) -> Tensor | None:
    """Who may read whom in self attention.

    Objects read objects, words and region tokens; words read objects and words. Nobody reads
    padding.

    Args:
        count: number of object queries.
        text: words, or None.
        regions: whose tokens stand behind objects and words.
        level: of the tokens.

    Returns:
        (N or 1, count + words, count + words + tokens) bool, or None if all may read all.
    """
    columns = [region.valid[level] for region in regions]
    if text is None and all(bool(valid.all()) for valid in columns):
        return None
    if text is not None:
        columns = [text.valid, *columns]
    length = 0 if text is None else text.tokens.shape[1]
    total = max(len(valid) for valid in columns)
    known = columns[0].new_ones(total, count)
    row = torch.cat([known, *(valid.expand(total, -1) for valid in columns)], 1)
    allowed = row[:, None].repeat(1, count + length, 1)
    allowed[:, count:, count + length :] = False
    return allowed
