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
    last = int(region_map.max(initial=0))
    present = np.zeros(last + 1, dtype=bool)
    present[region_map.ravel()] = True
    neighbours: list[set[int]] = [set() for _ in present]
    for first, second in _touching(region_map, last + 1):
        neighbours[first].add(second)
        neighbours[second].add(first)
    chosen: dict[int, int] = {}
    colors = np.zeros((last + 1, 3), dtype=np.uint8)
    for rank, region in enumerate(np.flatnonzero(present).tolist()):
        if region == 0:
            continue
        used = {chosen.get(other) for other in neighbours[region]}
        start = rank % len(PALETTE)
        order = [(start + step) % len(PALETTE) for step in range(len(PALETTE))]
        chosen[region] = next((color for color in order if color not in used), start)
        colors[region] = PALETTE[chosen[region]]
    return colors[region_map]


def _touching(region_map: np.ndarray, span: int) -> list[tuple[int, int]]:
    """Pairs of ids that share a border, each once, the smaller first; all ids are below `span`."""
    pairs = []
    for first, second in (
        (region_map[:, :-1], region_map[:, 1:]),
        (region_map[:-1], region_map[1:]),
    ):
        border = first != second  # few pixels: the rest of the work is on them alone
        one, other = first[border].astype(np.int64), second[border].astype(np.int64)
        pairs.append(np.minimum(one, other) * span + np.maximum(one, other))
    smaller, larger = np.divmod(np.unique(np.concatenate(pairs)), span)
    return list(zip(smaller.tolist(), larger.tolist(), strict=True))
