"""Mask logits as SAM makes them, without a SAM: smooth inside, steep at wiggly edges, nested.

Three levels of cells (wholes, parts, details) divide the image; a prompt's three candidates are the
cells round its point. Points of one cell give nearly the same mask, as with a real model.
"""

import numpy as np
import torch
import torch.nn.functional as F

CELLS = (36, 130, 340)


def sam_like_logits(
    image_size: tuple[int, int], points_per_side: int, seed: int = 0, side: int = 256
) -> tuple[torch.Tensor, torch.Tensor]:
    """Low-resolution logits of a grid of points, and how good their masks are said to be.

    Args:
        image_size: Rows and columns of the image, whose long side fills the logits.
        points_per_side: n x n points.
        seed: Of everything.
        side: Rows and columns of the logits.

    Returns:
        Logits, (n * n, 3, side, side) float32, about -22 to 16; predicted IoUs, (n * n, 3) float32,
        of which 45 % are over 0.88.
    """
    random = np.random.default_rng(seed)
    rows, columns = (side * length / max(image_size) for length in image_size)
    y, x = np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5, indexing="ij")
    wiggle = _noise(random, side, 24, 4.0) + _noise(random, side, 8, 1.2)
    y, x = y + wiggle[0], x + wiggle[1]
    centres = (np.arange(points_per_side) + 0.5) / points_per_side
    point_y = np.clip(np.repeat(centres * rows, points_per_side).astype(int), 0, side - 1)
    point_x = np.clip(np.tile(centres * columns, points_per_side).astype(int), 0, side - 1)

    count = points_per_side**2
    logits = np.empty((count, len(CELLS), side, side), np.float32)
    ious = np.empty((count, len(CELLS)), np.float32)
    quality_of_whole = np.zeros(count)
    for level, cells in enumerate(CELLS):
        seed_y, seed_x = random.uniform(0, rows, cells), random.uniform(0, columns, cells)
        distances = (x - seed_x[:, None, None]) ** 2 + (y - seed_y[:, None, None]) ** 2
        owner = distances.argmin(0)
        nearest, second = np.partition(distances, 1, axis=0)[:2]
        # Half the difference of squared distances over the distance of the seeds is the distance
        # to the border between two cells, in pixels.
        apart = np.hypot(seed_x[:, None] - seed_x, seed_y[:, None] - seed_y)
        spacing = 2 * np.sort(apart, axis=1)[:, 1:4].mean(1)
        slopes = random.uniform(3, 12, cells)
        quality = random.beta(5, 1.4, cells)
        chosen = owner[point_y, point_x]
        if level == 0:
            quality_of_whole = quality[chosen]
        for point, cell in enumerate(chosen):
            rival = np.where(owner == cell, second, nearest)
            slope = slopes[cell] * random.uniform(0.8, 1.2) / spacing[cell]
            values = (rival - distances[cell]) * slope + random.normal(0, 0.7)
            logits[point, level] = np.clip(values, -22, 16)
        ious[:, level] = (quality[chosen] + quality_of_whole) / 2 + random.normal(0, 0.04, count)
    coarse = torch.from_numpy(random.standard_normal((1, 1, side // 4, side // 4)))
    logits += 0.25 * F.interpolate(coarse.float(), (side, side), mode="bilinear")[0, 0].numpy()
    ious += np.float32(0.88) - np.quantile(ious, 0.55).astype(np.float32)
    return torch.from_numpy(logits), torch.from_numpy(ious)


def _noise(random: np.random.Generator, side: int, grain: int, amount: float) -> np.ndarray:
    """Smooth displacements, (2, side, side)."""
    coarse = random.standard_normal((1, 2, side // grain + 2, side // grain + 2))
    fine = F.interpolate(torch.from_numpy(coarse).float(), (side, side), mode="bicubic")
    return amount * fine[0].numpy()
