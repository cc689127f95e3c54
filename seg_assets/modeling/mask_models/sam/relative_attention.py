"""Attention over a grid of patches with SAM's decomposed relative positions.

The logit of query (y, x) against key (i, j) is

    q . k * scale + q . R_rows[y - i] + q . R_columns[x - j]

with one learned vector per distance along each axis (Li et al., "MViTv2", CVPR 2022, section 4.1;
Kirillov et al., "Segment Anything", ICCV 2023, for the encoder that uses it). Two ways to compute
it, neither of which holds a matrix of all queries by all keys.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class PositionTables(NamedTuple):
    """Relative position vectors laid out per pair of query and key coordinates.

    Attributes:
        rows: (query rows, key rows, d).
        columns: (query columns, key columns, d).
    """

    rows: Tensor
    columns: Tensor


class PositionLogits(NamedTuple):
    """What the relative positions add to the logits of some queries.

    Attributes:
        rows: Per key row, (B, query rows, query columns, key rows).
        columns: Per key column, (B, query rows, query columns, key columns).
    """

    rows: Tensor
    columns: Tensor


def position_table(vectors: Tensor, size: int) -> Tensor:
    """Look up the vector of each distance along one axis.

    Args:
        vectors: One per distance from -(size - 1) to size - 1, (2 size - 1, d).
        size: Patches along the axis.

    Returns:
        Entry (query, key) is the vector of query - key, (size, size, d).
    """
    place = torch.arange(size, device=vectors.device)
    return vectors[place[:, None] - place[None, :] + (size - 1)]


def position_logits(queries: Tensor, tables: PositionTables) -> PositionLogits:
    """Multiply queries, (B, rows, columns, d), with the vectors of their relative positions."""
    rows, columns = (table.to(queries.dtype) for table in tables)
    return PositionLogits(
        torch.einsum("brcd,rkd->brck", queries, rows),
        torch.einsum("brcd,ckd->brck", queries, columns),
    )


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, positions: PositionLogits | None, scale: float
) -> Tensor:
    """Attend from a few queries to all keys; the scores of these queries exist at once.

    In float32 each operation is that of the segment-anything package in its order, so that blocks
    of queries give the bits of the whole as far as the matrix library does.

    Args:
        queries: (G, rows, columns, d), for G heads.
        keys: (G, K, d).
        values: (G, K, d).
        positions: What is added to q . k, (G, rows, columns, key rows) and (..., key columns), with
            key rows x key columns = K; None for nothing. Float32 beside queries of 16 bits.
        scale: Factor of q . k.

    Returns:
        (G, rows, columns, d).
    """
    heads, rows, columns, width = queries.shape
    flat = queries.reshape(heads, rows * columns, width)
    if queries.dtype in (torch.float32, torch.float64):
        scores = torch.bmm(flat * scale, keys.transpose(1, 2))
        if positions is not None:
            grid = scores.view(*positions.rows.shape, -1)
            grid.add_(positions.rows[..., :, None]).add_(positions.columns[..., None, :])
        attended = torch.bmm(torch.softmax(scores, -1, out=scores), values)
    else:
        # Scores rounded to 16 bits would lose what the relative positions say: the fused kernel
        # keeps its sums and its softmax in float32, and takes a float32 mask.
        mask = None
        if positions is not None:
            mask = positions.rows[..., :, None] + positions.columns[..., None, :]
            mask = mask.reshape(1, heads, rows * columns, -1)
        attended = functional.scaled_dot_product_attention(
            flat[None], keys[None], values[None], attn_mask=mask, scale=scale
        )
    return attended.view(queries.shape)


def attend_folded(
    queries: Tensor, keys: Tensor, values: Tensor, tables: PositionTables | None, scale: float
) -> Tensor:
    """Attend with the relative positions as channels of queries and keys, by the fused kernel.

    The two position terms are a dot product themselves: of the query's logits per key row and per
    key column with the one-hot row and column of the key. With q' = [q, rows / scale,
    columns / scale] and k' = [k, one-hot row, one-hot column], q' . k' * scale is the whole logit.

    Why not as an additive mask: a mask holds heads x queries x keys numbers. That is 0.4 GB in 16
    bits for one image and one global block of ViT-B, written and read again, and a mask excludes
    the flash kernel. Folding costs arithmetic instead, 64 + 64 channels beside the head's 64 (80 in
    ViT-H), and memory stays linear in the patches. Whether it is also the faster of the two depends
    on the device; here it is chosen for memory.

    Args:
        queries: (B, G, N, d), for G heads; N is the rows x columns of the tables.
        keys: (B, G, N, d).
        values: (B, G, N, d).
        tables: Relative positions, or None for none.
        scale: Factor of q . k.

    Returns:
        (B, G, N, d).
    """
    if tables is None:
        return functional.scaled_dot_product_attention(queries, keys, values, scale=scale)
    batch, heads, count, width = queries.shape
    rows, columns = len(tables.rows), len(tables.columns)
    positions = position_logits(queries.reshape(batch * heads, rows, columns, width), tables)
    extra = [(logits / scale).reshape(batch, heads, count, -1) for logits in positions]
    place = torch.arange(count, device=keys.device)
    one_hot = torch.cat(
        [
            functional.one_hot(place // columns, rows),
            functional.one_hot(place % columns, columns),
        ],
        dim=1,
    ).to(keys.dtype)
    # The kernels ask for multiples of 8 channels; a zero changes no dot product. The flash kernel,
    # which computes in 16 bits only, also asks for values as wide as the keys.
    padding = -(width + rows + columns) % 8
    queries = functional.pad(torch.cat([queries, *extra], dim=-1), (0, padding))
    one_hot = functional.pad(one_hot, (0, padding)).expand(batch, heads, -1, -1)
    keys = torch.cat([keys, one_hot], dim=-1)
    if values.element_size() == 2:
        values = functional.pad(values, (0, queries.shape[-1] - width))
    attended = functional.scaled_dot_product_attention(queries, keys, values, scale=scale)
    return attended[..., :width]
