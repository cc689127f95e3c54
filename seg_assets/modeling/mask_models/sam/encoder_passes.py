"""Two ways through SAM's image encoder: in bands of rows for a CPU, in whole batches for a GPU.

Both use the modules' own weights. Neither computes with the padding of windows that stick out over
the image's grid beyond what it contributes: a padded patch is zero before the projection to
queries, keys and values, which therefore are the projection's bias, and nobody asks for its output.
"""

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Attention, Block

from seg_assets.modeling.mask_models.cpu_threads import ForEach, cpu_threads
from seg_assets.modeling.mask_models.sam.relative_attention import (
    PositionLogits,
    PositionTables,
    attend,
    attend_folded,
    position_logits,
    position_table,
)

# Patches that pass through projections and MLP together: enough for matrix products to run at full
# speed, few enough that the MLP's hidden layer (6 MB for ViT-B) stays in the last level cache.
_PATCHES_PER_BAND = 512
# Attention scores per thread that exist at the same time: 4 MB of float32, within the caches.
_SCORES_AT_ONCE = 1 << 20


def encode_in_bands(encoder: ImageEncoderViT, pixels: Tensor) -> Tensor:
    """Encode images one by one, a band of patch rows at a time.

    Beside the patches of one image, (h, w, C), a global block keeps its keys and values, and all
    else is the size of a band per thread. Each of as many threads as torch uses takes whole bands:
    they need no waiting for each other within a band's many small steps.

    Args:
        encoder: The encoder; a 16-bit one has float32 norms and position embedding.
        pixels: Normalised, (N, 3, S, S) floating point.

    Returns:
        (N, C, h, w), of the neck's dtype.
    """
    encoded = []
    with cpu_threads("image-encoder") as each:
        for image in pixels.split(1):
            patches = _embed_patches(encoder, image)[0].contiguous()
            for block in _blocks(encoder):
                _band_block(block, patches, each)
            encoded.append(_neck(encoder, patches[None]))
    return torch.cat(encoded) if len(encoded) > 1 else encoded[0]


def encode_batch(encoder: ImageEncoderViT, pixels: Tensor) -> Tensor:
    """Encode all images together with the fused attention kernel; arguments as above."""
    patches = _embed_patches(encoder, pixels)
    for block in _blocks(encoder):
        patches = patches + block.attn.proj(_batch_attention(block, patches))
        patches = patches + block.mlp(block.norm2(patches).to(_dtype(block.mlp)))
    return _neck(encoder, patches)


def _blocks(encoder: ImageEncoderViT) -> list[Block]:
    return cast(list[Block], list(encoder.blocks))


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


def _embed_patches(encoder: ImageEncoderViT, pixels: Tensor) -> Tensor:
    """(N, 3, S, S) -> (N, h, w, C), of the position embedding's dtype."""
    patches = encoder.patch_embed(pixels.to(_dtype(encoder.patch_embed)))
    return patches if encoder.pos_embed is None else patches + encoder.pos_embed


def _neck(encoder: ImageEncoderViT, patches: Tensor) -> Tensor:
    """(N, h, w, C) -> (N, C', h, w)."""
    # Contiguous as in the package: with channels last the convolutions would round otherwise
    features = patches.permute(0, 3, 1, 2).contiguous()
    for layer in encoder.neck:
        features = layer(features.to(_dtype(layer)))
    return features


def _tables(attention: Attention, rows: int, columns: int) -> PositionTables | None:
    """Relative positions of a grid that attends to itself."""
    if not attention.use_rel_pos:
        return None
    return PositionTables(
        position_table(attention.rel_pos_h, rows), position_table(attention.rel_pos_w, columns)
    )


def _logits(
    queries: Tensor, tables: PositionTables | None, rows: slice, columns: slice
) -> PositionLogits | None:
    """Position logits of the queries, (heads, r, c, d), that lie in these rows and columns."""
    if tables is None:
        return None
    if queries.dtype.itemsize < torch.float32.itemsize:
        queries = queries.float()
    return position_logits(queries, PositionTables(tables.rows[rows], tables.columns[columns]))


def _band_block(block: Block, patches: Tensor, each: ForEach) -> None:
    """Run one transformer block over the patches of an image, (h, w, C), in place.

    Bands may run in any order and side by side: a window lies inside its band, and a global block
    has taken the keys and values of all patches before the first of them changes.
    """
    if block.window_size:
        attend_band = _attend_in_windows(block, patches)
        bands = list(_bands(len(patches), block.window_size))
    else:
        attend_band = _attend_globally(block, patches, each)
        bands = _full_bands(patches)

    def attend_and_add(rows: slice) -> None:
        patches[rows].add_(block.attn.proj(attend_band(rows)))

    def transform(rows: slice) -> None:
        band = patches[rows]
        band.add_(block.mlp(block.norm2(band).to(_dtype(block.mlp))))

    each(attend_and_add, bands)
    each(transform, _full_bands(patches))


def _full_bands(patches: Tensor) -> list[slice]:
    """Rows of an image's patches, (h, w, C), that are worth a matrix product."""
    height, width = patches.shape[:2]
    return list(_bands(height, max(_PATCHES_PER_BAND // width, 1)))


def _bands(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _attend_in_windows(block: Block, patches: Tensor) -> Callable[[slice], Tensor]:
    """From a band of windows to what its rows attend to, (rows, w, C)."""
    attention, side = block.attn, block.window_size
    width = patches.shape[1]
    weight, bias = attention.qkv.weight, _projection_bias(attention)
    heads = attention.num_heads
    tables = _tables(attention, side, side)

    def attend_band(rows: slice) -> Tensor:
        normed = block.norm1(patches[rows]).to(weight.dtype)
        # (r, w, 3 C) -> (3, heads, r, w, d)
        projected = functional.linear(normed, weight, attention.qkv.bias)
        projected = projected.view(len(normed), width, 3, heads, -1).permute(2, 3, 0, 1, 4)
        attended = torch.empty_like(normed)
        for columns in _bands(width, side):
            inside = projected[:, :, :, columns]
            shown, across = inside.shape[2:4]
            window = inside
            if (shown, across) != (side, side):
                padded = bias.view(3, heads, 1, 1, -1).expand(-1, -1, side, side, -1)
                window = padded.contiguous()
                window[:, :, :shown, :across] = inside
            result = attend(
                inside[0],
                window[1].reshape(heads, side * side, -1),
                window[2].reshape(heads, side * side, -1),
                _logits(inside[0], tables, slice(shown), slice(across)),
                attention.scale,
            )
            # (heads, r, c, d) -> (r, c, heads, d)
            attended.view(len(normed), width, heads, -1)[:, columns] = result.permute(1, 2, 0, 3)
        return attended

    return attend_band


def _attend_globally(block: Block, patches: Tensor, each: ForEach) -> Callable[[slice], Tensor]:
    """From a band of rows to what they attend to in the whole image, (rows, w, C)."""
    attention = block.attn
    height, width, channels = patches.shape
    weight, bias = attention.qkv.weight, attention.qkv.bias
    heads = attention.num_heads
    tables = _tables(attention, height, width)
    # (keys and values, heads, h, w, d)
    shape = (2, heads, height, width, channels // heads)
    stored = torch.empty(shape, dtype=weight.dtype, device=patches.device)

    def store(rows: slice) -> None:
        normed = block.norm1(patches[rows]).to(weight.dtype)
        projected = functional.linear(
            normed, weight[channels:], None if bias is None else bias[channels:]
        )
        stored[:, :, rows] = projected.view(*normed.shape[:2], 2, heads, -1).permute(2, 3, 0, 1, 4)

    each(store, _full_bands(patches))
    keys, values = stored.flatten(2, 3)
    at_once = max(_SCORES_AT_ONCE // (width * height * width), 1)

    def attend_band(rows: slice) -> Tensor:
        normed = block.norm1(patches[rows]).to(weight.dtype)
        projected = functional.linear(
            normed, weight[:channels], None if bias is None else bias[:channels]
        )
        queries = projected.view(len(normed), width, heads, -1).permute(2, 0, 1, 3).contiguous()
        # Of all heads together: fewer calls, and matrices as tall as those of the whole image
        positions = _logits(queries, tables, rows, slice(None))
        attended = torch.empty_like(normed)
        for head in range(heads):
            one = slice(head, head + 1)
            for part in _bands(len(normed), at_once):
                result = attend(
                    queries[one, part],
                    keys[one],
                    values[one],
                    positions and PositionLogits(*(of[one, part] for of in positions)),
                    attention.scale,
                )
                attended.view(*normed.shape[:2], heads, -1)[part, :, head] = result[0]
        return attended

    return attend_band


def _batch_attention(block: Block, patches: Tensor) -> Tensor:
    """What each patch attends to, before the output projection; (N, h, w, C) both."""
    attention = block.attn
    number, height, width, channels = patches.shape
    weight = attention.qkv.weight
    heads = attention.num_heads
    normed = block.norm1(patches).to(weight.dtype)
    projected = functional.linear(normed, weight, attention.qkv.bias)
    rows, columns = (block.window_size, block.window_size) if block.window_size else (height, width)
    down, across = -(-height // rows), -(-width // columns)
    if (down * rows, across * columns) != (height, width):
        padded = _projection_bias(attention).expand(number, down * rows, across * columns, -1)
        padded = padded.contiguous()
        padded[:, :height, :width] = projected
        projected = padded
    # (N, down, rows, across, columns, 3, heads, d) -> (3, N x windows, heads, rows x columns, d)
    queries, keys, values = (
        projected.view(number, down, rows, across, columns, 3, heads, -1)
        .permute(5, 0, 1, 3, 6, 2, 4, 7)
        .reshape(3, number * down * across, heads, rows * columns, -1)
    )
    attended = attend_folded(
        queries, keys, values, _tables(attention, rows, columns), attention.scale
    )
    # (N, down, across, heads, rows, columns, d) -> (N, h, w, C)
    return (
        attended.reshape(number, down, across, heads, rows, columns, -1)
        .permute(0, 1, 4, 2, 5, 3, 6)
        .reshape(number, down * rows, across * columns, channels)[:, :height, :width]
    )


def _projection_bias(attention: Attention) -> Tensor:
    """Queries, keys and values of a patch that is zero, (3 C,)."""
    bias = attention.qkv.bias
    return attention.qkv.weight.new_zeros(len(attention.qkv.weight)) if bias is None else bias
