"""Colours for regions that have no class: distinct, and clearly different between neighbours."""

import colorsys

import numpy as np

from seg_assets.errors import InputError

HUES = 12
# (saturation, value) of the rings of the colour wheel, strong ones first
RINGS = ((0.70, 0.95), (0.45, 0.98), (0.90, 0.68))


def _make_palette() -> np.ndarray:
    """(36, 3) uint8 colours; consecutive ones lie far apart on the wheel."""
    colors = []
    for saturation, value in RINGS:
        for step in range(HUES):
            hue = (step * 5 % HUES) / HUES  # 5 and 12 share no factor: every hue once
            colors.append(colorsys.hsv_to_rgb(hue, saturation, value))
    return (np.array(colors) * 255 + 0.5).astype(np.uint8)


PALETTE = _make_palette()


def color_regions(region_map: np.ndarray) -> np.ndarray:
    """Paint every region in a colour of its own or at least one that no neighbour has.

    The regions are coloured in the order of their ids; each takes the first palette colour, from a
    start that depends on its rank, that no coloured neighbour uses.

    Args:
        region_map: (H, W) int32 region ids, 0 for no region (black).

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: An id is negative.
    """
    if region_map.size and int(region_map.min()) < 0:
        raise InputError("A region map holds a negative id; ids start at 1, 0 means no region.")
    ids, ranks = np.unique(region_map, return_inverse=True)
    ranks = ranks.reshape(region_map.shape)
    neighbours: list[set[int]] = [set() for _ in ids]
    for first, second in _touching(ranks):
        neighbours[first].add(second)
        neighbours[second].add(first)
    chosen = np.full(len(ids), -1, dtype=np.int64)
    for rank, region in enumerate(ids.tolist()):
        if region == 0:
            continue
        used = {int(chosen[other]) for other in neighbours[rank]}
        start = rank % len(PALETTE)
        order = [(start + step) % len(PALETTE) for step in range(len(PALETTE))]
        chosen[rank] = next((color for color in order if color not in used), start)
    colors = np.where(chosen[:, None] >= 0, PALETTE[chosen], np.uint8(0))
    return colors.astype(np.uint8)[ranks]


def _touching(ranks: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of values that share a border, each once, the smaller first."""
    pairs = [
        np.stack([ranks[:, :-1].ravel(), ranks[:, 1:].ravel()], axis=1),
        np.stack([ranks[:-1].ravel(), ranks[1:].ravel()], axis=1),
    ]
    both = np.sort(np.concatenate(pairs), axis=1)
    both = np.unique(both[both[:, 0] != both[:, 1]], axis=0)
    return [(int(first), int(second)) for first, second in both]
