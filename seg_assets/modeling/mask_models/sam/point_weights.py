"""SAM's mask decoder, folded for many prompts on one image: what follows from its weights alone.

The image's side of the two-way transformer starts from the same tokens for every prompt and is
changed by three kinds of step only: an attention to the few prompt tokens, which adds a sum of
`heads x tokens` vectors with per-pixel coefficients; a bias; and a layer norm. So the keys after
any block stay of the form

    keys(t) = scale(t) * (spread(t) * shared(t) + sum over m of rows(m, t) * basis(m)) + bias

where `shared` belongs to the image, `rows` are attention weights of the prompt's earlier blocks and
`basis` their value vectors, brought through the layer norms' centring and weights. No projection of
the keys needs the keys themselves: a projection of `shared` is made once per image, and one of the
basis follows from the prompt tokens by the matrices that are multiplied here, in float64.

As attention weights over the tokens sum to one, the last token's rows are not kept: its values are
subtracted from those of the other tokens, and their sum over the heads is a row of ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import MaskDecoder, TwoWayTransformer
from segment_anything.modeling.transformer import TwoWayAttentionBlock


@dataclass(frozen=True, eq=False)
class RowMap:
    """A linear map of the basis vectors of one block's rows.

    Attributes:
        per_head: From a head's value vector to the result, (heads, head channels, out) float32.
        fixed: What the block's biases add to the row of ones, (out,) float32.
    """

    per_head: Tensor
    fixed: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """Map the basis of values (N, heads, tokens, head channels), to (N, rows, out).

        The rows are the heads' tokens but the last, head by head, and the row of ones.
        """
        prompts, heads, tokens, _ = values.shape
        mapped = torch.einsum("bhjc,hco->bhjo", values, self.per_head)
        last = mapped[:, :, -1]  # (N, heads, out)
        rows = (mapped[:, :, :-1] - last[:, :, None]).reshape(prompts, heads * (tokens - 1), -1)
        return torch.cat([rows, (last.sum(1) + self.fixed)[:, None]], 1)


@dataclass(frozen=True, eq=False)
class KeyProjection:
    """A linear layer applied to the keys as they enter a block, or to keys + positions.

    Attributes:
        weight: The layer's weight, (out, C) float32: what it does to the image's shared part.
        fixed: What it makes of the keys' bias, its own bias included, (out,) float32.
        rows: What it does to the basis of each earlier block.
        with_positions: Whether it sees the positional encoding.
    """

    weight: Tensor
    fixed: Tensor
    rows: tuple[RowMap, ...]
    with_positions: bool


@dataclass(frozen=True, eq=False)
class FoldedNorm:
    """The layer norm at a block's end.

    Attributes:
        weight: (C,) float32. The bias is folded into whatever reads the keys.
        eps: Added to the variance.
        basis: The centred basis of every block up to this one, as it enters the norm.
        shared: Products of the centred shared part with the same basis: one matrix per block,
            (heads x head channels + 1, C) float32, whose last row stands for the fixed part.
    """

    weight: Tensor
    eps: float
    basis: tuple[RowMap, ...]
    shared: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class FoldedBlock:
    """The image's side of one two-way block.

    Attributes:
        key: Keys of the attention from tokens to image.
        value: Its values.
        query: Queries of the attention from image to tokens.
        norm: The layer norm after it.
    """

    key: KeyProjection
    value: KeyProjection
    query: KeyProjection
    norm: FoldedNorm


@dataclass(frozen=True, eq=False)
class FoldedDecoder:
    """The image's side of a mask decoder.

    Attributes:
        blocks: Of the two-way transformer.
        key: Keys of the final attention from tokens to image.
        value: Its values.
        upscaling: The first transposed convolution: (row, column, channel) within a token.
    """

    blocks: tuple[FoldedBlock, ...]
    key: KeyProjection
    value: KeyProjection
    upscaling: KeyProjection


class _Chain:
    """Follows what the layer norms make of each block's additions, in float64."""

    def __init__(self, channels: int, heads: int, device: torch.device) -> None:
        self._heads = heads
        centre = torch.eye(channels, dtype=torch.float64, device=device)
        self._centre = centre - 1 / channels
        self._bias = torch.zeros(channels, dtype=torch.float64, device=device)
        # per block: its values' way into the keys, (C, internal), and its fixed addition, (C,)
        self._added: list[tuple[Tensor, Tensor]] = []

    def add(self, out_projection: nn.Linear) -> None:
        """A block adds its attention's result to the keys."""
        self._added.append((_wide(out_projection.weight), self._bias + _wide(out_projection.bias)))

    def norm(self, norm: nn.LayerNorm) -> FoldedNorm:
        """The block's layer norm follows."""
        centred = [(self._centre @ way, self._centre @ fixed) for way, fixed in self._added]
        folded = FoldedNorm(
            _narrow(_wide(norm.weight)),
            norm.eps,
            tuple(self._row_map(way, fixed) for way, fixed in centred),
            tuple(_narrow(torch.cat([way, fixed[:, None]], 1).T) for way, fixed in centred),
        )
        weight = _wide(norm.weight)
        self._added = [(weight[:, None] * way, weight * fixed) for way, fixed in centred]
        self._bias = _wide(norm.bias)
        return folded

    def project(self, weight: Tensor, bias: Tensor, with_positions: bool) -> KeyProjection:
        """A linear layer reads the keys: weight (out, C) and bias (out,), float64."""
        return KeyProjection(
            _narrow(weight),
            _narrow(weight @ self._bias + bias),
            tuple(self._row_map(weight @ way, weight @ fixed) for way, fixed in self._added),
            with_positions,
        )

    def _row_map(self, way: Tensor, fixed: Tensor) -> RowMap:
        per_head = way.T.reshape(self._heads, -1, way.shape[0])
        return RowMap(_narrow(per_head), _narrow(fixed))


def two_way_blocks(transformer: TwoWayTransformer) -> list[TwoWayAttentionBlock]:
    """The blocks in order."""
    return [cast(TwoWayAttentionBlock, layer) for layer in transformer.layers]


def fold_decoder(decoder: MaskDecoder) -> FoldedDecoder:
    """Fold the image's side of a decoder whose transformer is a two-way one."""
    transformer = cast(TwoWayTransformer, decoder.transformer)
    device = decoder.iou_token.weight.device
    chain = _Chain(transformer.embedding_dim, transformer.num_heads, device)
    with torch.no_grad():
        blocks = tuple(_fold_block(layer, chain) for layer in two_way_blocks(transformer))
        final = transformer.final_attn_token_to_image
        convolution = cast(nn.ConvTranspose2d, decoder.output_upscaling[0])
        return FoldedDecoder(
            blocks,
            _fold_linear(final.k_proj, chain, with_positions=True),
            _fold_linear(final.v_proj, chain, with_positions=False),
            chain.project(*_as_linear(convolution), with_positions=False),
        )


def convolution_weight(convolution: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """A 2 x 2 transposed convolution as a linear layer to (row, column, channel).

    Returns:
        Weight, (4 x out, in), and bias, (4 x out,), both float32.
    """
    weight, bias = _as_linear(convolution)
    return _narrow(weight), _narrow(bias)


def _fold_block(layer: TwoWayAttentionBlock, chain: _Chain) -> FoldedBlock:
    to_image, to_tokens = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
    key = _fold_linear(to_image.k_proj, chain, with_positions=True)
    value = _fold_linear(to_image.v_proj, chain, with_positions=False)
    query = _fold_linear(to_tokens.q_proj, chain, with_positions=True)
    chain.add(to_tokens.out_proj)
    return FoldedBlock(key, value, query, chain.norm(layer.norm4))


def _fold_linear(linear: nn.Linear, chain: _Chain, *, with_positions: bool) -> KeyProjection:
    return chain.project(_wide(linear.weight), _wide(linear.bias), with_positions)


def _as_linear(convolution: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    weight = _wide(convolution.weight)  # (in, out, 2, 2)
    return weight.permute(2, 3, 1, 0).flatten(0, 2), _wide(convolution.bias).repeat(4)


def _wide(parameter: Tensor | None) -> Tensor:
    assert parameter is not None  # the package builds every layer with a bias
    return parameter.detach().double()


def _narrow(matrix: Tensor) -> Tensor:
    return matrix.float().contiguous()


def stack_rows(maps: Sequence[RowMap], values: Sequence[Tensor]) -> Tensor:
    """Map the basis of several blocks: (N, rows of all, out)."""
    return torch.cat([row_map(value) for row_map, value in zip(maps, values, strict=True)], 1)
