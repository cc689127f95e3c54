"""SAM's two-way transformer for many prompts on one image, without a projection of all keys.

The algebra is exact: the same function of weights, image and points as the package's, with sums
taken in another order.
"""

import math

import torch
from torch import Tensor

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import TwoWayTransformer
from segment_anything.modeling.transformer import Attention

from seg_assets.modeling.mask_models.sam.point_arithmetic import (
    Scores,
    Scratch,
    sum_squares,
    weigh_image,
    weigh_tokens,
)
from seg_assets.modeling.mask_models.sam.point_image import (
    ImageNorm,
    ImageProjection,
    PreparedImage,
)
from seg_assets.modeling.mask_models.sam.point_weights import (
    FoldedDecoder,
    FoldedNorm,
    KeyProjection,
    stack_rows,
    two_way_blocks,
)


class PromptKeys:
    """The keys of N prompts, as their difference from what the image determines.

    Attributes:
        buffer: Coefficients of the basis, (N, rows of all blocks, T); those of later blocks are
            not yet written.
        values: Value vectors of each block so far, (N, heads, tokens, head channels) float32.
        scale: One over the deviation in the last layer norm, (N, T) float32; 1 before any.
        spread: Factor of the shared part within the scaled sum, (N, T) float32.
    """

    def __init__(self, buffer: Tensor, values: list[Tensor], scale: Tensor, spread: Tensor) -> None:
        self.buffer = buffer
        self.values = values
        self.scale = scale
        self.spread = spread

    @classmethod
    def of_image(
        cls, image: PreparedImage, prompts: int, tokens: int, scratch: Scratch
    ) -> "PromptKeys":
        """The image's own keys, for prompts of so many tokens."""
        first = image.blocks[0].key.fixed  # (heads, head channels, T)
        rows = len(image.blocks) * (first.shape[0] * (tokens - 1) + 1)
        buffer = scratch.empty("keys", (prompts, rows, first.shape[2]), first)
        ones = first.new_ones((prompts, first.shape[2]), dtype=torch.float32)
        return cls(buffer, [], ones, ones.clone())

    @property
    def rows(self) -> Tensor:
        """Coefficients of the basis so far."""
        return self.buffer[:, : self.used]

    @property
    def used(self) -> int:
        """How many rows there are so far."""
        return sum(values.shape[1] * (values.shape[2] - 1) + 1 for values in self.values)

    def add(self, scores: Scores, values: Tensor) -> None:
        """Add a block's attention to the tokens.

        Args:
            scores: Of all its tokens.
            values: Its value vectors, (N, heads, tokens, head channels) float32.
        """
        weigh_tokens(scores, self.buffer, self.used)
        self.rows.mul_(self.scale[:, None])
        self.spread = self.spread * self.scale
        self.values.append(values)
        self.buffer[:, self.used - 1] = 1

    def select(self, prompts: Tensor) -> "PromptKeys":
        """The keys of some of the prompts, by their indices."""
        values = [each[prompts] for each in self.values]
        return PromptKeys(self.buffer[prompts], values, self.scale[prompts], self.spread[prompts])


class PointTransformer:
    """The prompts' side of the transformer, on a folded image side."""

    def __init__(self, transformer: TwoWayTransformer, folded: FoldedDecoder) -> None:
        self._transformer = transformer
        self._folded = folded
        self._heads = transformer.num_heads
        self._scratch = Scratch()

    def __call__(self, image: PreparedImage, tokens: Tensor) -> tuple[Tensor, PromptKeys]:
        """Run all blocks, but not the final attention.

        Args:
            image: The prepared image.
            tokens: Output tokens and prompt tokens, (N, tokens, C) float32.

        Returns:
            Queries after the last block, (N, tokens, C) float32, and the keys after it.
        """
        layers = two_way_blocks(self._transformer)
        keys = PromptKeys.of_image(image, tokens.shape[0], tokens.shape[1], self._scratch)
        queries = tokens
        for layer, block, view in zip(layers, self._folded.blocks, image.blocks, strict=True):
            if layer.skip_first_layer_pe:
                queries = layer.self_attn(q=queries, k=queries, v=queries)
            else:
                placed = queries + tokens
                queries = queries + layer.self_attn(q=placed, k=placed, v=queries)
            queries = layer.norm1(queries)
            attention = layer.cross_attn_token_to_image
            attended = self._attend_to_image(
                attention, queries + tokens, keys, (block.key, view.key), (block.value, view.value)
            )
            queries = layer.norm2(queries + attended)
            queries = layer.norm3(queries + layer.mlp(queries))
            attention = layer.cross_attn_image_to_token
            self._attend_to_tokens(
                attention, queries + tokens, queries, keys, (block.query, view.query)
            )
            keys.scale = self._normalise(keys, block.norm, view.norm)
        return queries, keys

    def finish(
        self, image: PreparedImage, queries: Tensor, tokens: Tensor, keys: PromptKeys
    ) -> Tensor:
        """The final attention and norm for some of the tokens.

        Args:
            image: The prepared image.
            queries: Queries after the last block, (N, some tokens, C) float32.
            tokens: The same tokens as they came in.
            keys: After the last block.

        Returns:
            The tokens that come out, (N, some tokens, C) float32.
        """
        attention = self._transformer.final_attn_token_to_image
        attended = self._attend_to_image(
            attention,
            queries + tokens,
            keys,
            (self._folded.key, image.key),
            (self._folded.value, image.value),
        )
        return self._transformer.norm_final_attn(queries + attended)

    def _split(self, projected: Tensor) -> Tensor:
        return projected.unflatten(2, (self._heads, -1)).transpose(1, 2)  # (N, heads, tokens, c)

    def _scores(
        self,
        vectors: Tensor,
        keys: PromptKeys,
        folded: KeyProjection,
        image: ImageProjection,
    ) -> Scores:
        """Products of vectors, (N, heads, tokens, c), with a projection of the keys."""
        dtype = image.fixed.dtype
        prompts, heads, tokens, channels = vectors.shape
        by_head = vectors.transpose(0, 1).reshape(heads, prompts * tokens, channels).to(dtype)

        def multiply(name: str, left: Tensor, right: Tensor) -> Tensor:
            shape = (*left.shape[:2], right.shape[2])
            return torch.bmm(left, right, out=self._scratch.empty(name, shape, right))

        fixed = multiply("fixed", by_head, image.fixed).unflatten(1, (prompts, tokens))
        if image.shared is None:
            return Scores(fixed, None, None, keys.spread, keys.scale)
        shared = multiply("shared", by_head, image.shared).unflatten(1, (prompts, tokens))
        basis = stack_rows(folded.rows, keys.values).unflatten(2, (heads, channels))
        weights = torch.einsum("bhjc,bmhc->bhjm", vectors, basis).flatten(1, 2)
        rows = multiply("rows", weights.to(dtype), keys.rows).unflatten(1, (heads, tokens))
        return Scores(fixed, shared, rows, keys.spread, keys.scale)

    def _attend_to_image(
        self,
        attention: Attention,
        placed: Tensor,
        keys: PromptKeys,
        key: tuple[KeyProjection, ImageProjection],
        value: tuple[KeyProjection, ImageProjection],
    ) -> Tensor:
        queries = self._split(attention.q_proj(placed))
        prompts, heads, tokens, channels = queries.shape
        scores = self._scores(queries / math.sqrt(channels), keys, *key)
        for_shared, for_rows = weigh_image(scores)  # (heads, N, tokens, T), (N, heads, tokens, T)
        folded, image = value
        assert image.shared is not None
        attended = torch.bmm(for_shared.flatten(1, 2), image.shared.transpose(1, 2)).float()
        attended = attended.unflatten(1, (prompts, tokens)).transpose(0, 1)
        attended = attended + image.fixed.float().view(heads, 1, channels)
        if for_rows is not None:
            weights = torch.bmm(for_rows.flatten(1, 2), keys.rows.transpose(1, 2)).float()
            basis = stack_rows(folded.rows, keys.values).unflatten(2, (heads, channels))
            attended = attended + torch.einsum(
                "bhjm,bmhc->bhjc", weights.unflatten(1, (heads, tokens)), basis
            )
        return attention.out_proj(attended.transpose(1, 2).flatten(2))

    def _attend_to_tokens(
        self,
        attention: Attention,
        placed: Tensor,
        queries: Tensor,
        keys: PromptKeys,
        query: tuple[KeyProjection, ImageProjection],
    ) -> None:
        vectors = self._split(attention.k_proj(placed))
        scores = self._scores(vectors / math.sqrt(vectors.shape[-1]), keys, *query)
        keys.add(scores, self._split(attention.v_proj(queries)))

    def _normalise(self, keys: PromptKeys, folded: FoldedNorm, image: ImageNorm) -> Tensor:
        """One over the deviation of every key, (N, T) float32, without the keys."""
        products = []
        for values, shared in zip(keys.values, image.products, strict=True):
            prompts, heads, tokens, channels = values.shape
            last = values[:, :, -1]
            steps = (values[:, :, :-1] - last[:, :, None]).transpose(0, 1)
            by_head = shared[:-1].view(heads, channels, -1)
            shape = (heads, prompts * (tokens - 1), by_head.shape[2])
            out = self._scratch.empty(f"products {len(products)}", shape, by_head)
            torch.bmm(steps.flatten(1, 2), by_head, out=out)
            of_steps = out.unflatten(1, (prompts, tokens - 1))
            of_last = torch.addmm(shared[-1:], last.flatten(1), shared[:-1])
            products.append((of_steps, of_last))
        basis = stack_rows(folded.basis, keys.values)  # (N, rows, C)
        gram = torch.bmm(basis, basis.transpose(1, 2))
        squares = sum_squares(keys.buffer.float(), gram, products, image.squares, keys.spread)
        # rounding may take a sum of squares below zero
        return (squares.clamp_(min=0) / basis.shape[2] + folded.eps).rsqrt()
