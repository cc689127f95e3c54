"""SAM's mask decoder for many prompts on one image: what is computed once per image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seg_assets.modeling.mask_models.sam.point_weights import (
    FoldedBlock,
    FoldedDecoder,
    FoldedNorm,
    KeyProjection,
)


@dataclass(frozen=True, eq=False)
class ImageProjection:
    """A projection of the keys, as far as the image determines it.

    Attributes:
        shared: Of the shared part, (heads, head channels, T); None where the keys are still the
            image's own, so that `fixed` holds all of it.
        fixed: Of the keys' bias and positions, (heads, head channels, T), or without positions
            (heads, head channels, 1).
    """

    shared: Tensor | None
    fixed: Tensor


@dataclass(frozen=True, eq=False)
class ImageNorm:
    """What a layer norm needs of the image.

    Attributes:
        squares: Sum of squares of the centred shared part, (T,) float32.
        products: Its products with each block's basis, (heads x head channels + 1, T) float32.
    """

    squares: Tensor
    products: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class ImageBlock:
    """One two-way block's view of the image; see `FoldedBlock`."""

    key: ImageProjection
    value: ImageProjection
    query: ImageProjection
    norm: ImageNorm


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """One image, ready for any number of prompts. T = rows x columns of its tokens.

    Attributes:
        grid: Rows and columns of the image's tokens.
        blocks: Of the two-way transformer.
        key: Keys of the final attention.
        value: Its values.
        upscaling: First convolution of the shared part, (4 x C / 4, T).
    """

    grid: tuple[int, int]
    blocks: tuple[ImageBlock, ...]
    key: ImageProjection
    value: ImageProjection
    upscaling: Tensor


def prepare_image(
    folded: FoldedDecoder,
    tokens: Tensor,
    positions: Tensor,
    grid: tuple[int, int],
    heads: int,
    dtype: torch.dtype,
) -> PreparedImage:
    """Project an image's tokens once for all prompts.

    Args:
        folded: The decoder.
        tokens: Image embedding with the dense prompt added, (C, T) float32.
        positions: Positional encoding, (C, T) float32.
        grid: Rows and columns of the tokens.
        heads: Attention heads.
        dtype: Of the projections; what the norms need stays float32.
    """

    def project(projection: KeyProjection, shared: Tensor) -> ImageProjection:
        by_image = projection.weight @ shared
        fixed = projection.fixed[:, None]
        if projection.with_positions:
            fixed = torch.addmm(fixed, projection.weight, positions)
        if projection.rows:
            return ImageProjection(_by_head(by_image), _by_head(fixed))
        if projection.with_positions:
            return ImageProjection(None, _by_head(by_image + fixed))
        return ImageProjection(_by_head(by_image), _by_head(fixed))

    def _by_head(projected: Tensor) -> Tensor:
        return projected.view(heads, -1, projected.shape[-1]).to(dtype)

    def view_block(block: FoldedBlock, shared: Tensor) -> tuple[ImageBlock, Tensor]:
        key, value, query = (
            project(each, shared) for each in (block.key, block.value, block.query)
        )
        centred = shared - shared.mean(0)
        norm = _measure(block.norm, centred)
        return ImageBlock(key, value, query, norm), block.norm.weight[:, None] * centred

    blocks = []
    shared = tokens
    for block in folded.blocks:
        viewed, shared = view_block(block, shared)
        blocks.append(viewed)
    return PreparedImage(
        grid,
        tuple(blocks),
        project(folded.key, shared),
        project(folded.value, shared),
        (folded.upscaling.weight @ shared).to(dtype),
    )


def _measure(norm: FoldedNorm, centred: Tensor) -> ImageNorm:
    return ImageNorm(centred.square().sum(0), tuple(shared @ centred for shared in norm.shared))
