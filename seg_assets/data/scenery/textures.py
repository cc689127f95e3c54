"""Surface patterns: how much lighter or darker a surface is at (u, v) metres, mean about 0.

`pixel` is the size of one pixel on the surface in metres: patterns fade where they would be finer
than a pixel, so that far ground does not flicker.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

TILE = 512  # texels; noise tiles repeat after this

Field = np.ndarray


@cache
def noise(slope: float, lowest: float, seed: int) -> Field:
    """Return a (TILE, TILE) float32 tile of seamless noise with mean 0 and deviation 1.

    Args:
        slope: Amplitude falls with frequency to this power (0 is white).
        lowest: Waves longer than TILE / lowest texels are left out.
        seed: Which noise.
    """
    rng = np.random.default_rng(seed)
    row = np.fft.fftfreq(TILE)[:, None] * TILE
    column = np.fft.rfftfreq(TILE)[None, :] * TILE
    frequency = np.hypot(row, column)
    amplitude = np.where(frequency < max(lowest, 0.5), 0.0, np.maximum(frequency, 1.0) ** -slope)
    amplitude *= np.exp(-((frequency / (TILE * 0.33)) ** 2))
    tile = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(TILE, TILE))) * amplitude, s=(TILE, TILE))
    return np.ascontiguousarray((tile - tile.mean()) / tile.std(), dtype=np.float32)


def look_up(tile: Field, u: Field, v: Field) -> Field:
    """Read a repeating tile at texel coordinates (nearest texel)."""
    return tile[v.astype(np.int32) & (TILE - 1), u.astype(np.int32) & (TILE - 1)]


def look_up_smooth(tile: Field, u: Field, v: Field) -> Field:
    """Read a repeating tile at texel coordinates, blending the four nearest texels."""
    left, top = np.floor(u), np.floor(v)
    right_share = (u - left).astype(np.float32)
    low_share = (v - top).astype(np.float32)
    x0, y0 = left.astype(np.int32) & (TILE - 1), top.astype(np.int32) & (TILE - 1)
    x1, y1 = (x0 + 1) & (TILE - 1), ((y0 + 1) & (TILE - 1)) * TILE
    y0 *= TILE
    texels = tile.ravel()
    upper, lower = texels[y0 + x0], texels[y1 + x0]
    upper += (texels[y0 + x1] - upper) * right_share
    lower += (texels[y1 + x1] - lower) * right_share
    return upper + (lower - upper) * low_share


@cache
def _random_table() -> Field:
    return np.random.default_rng(11).uniform(-1, 1, 4096).astype(np.float32)


def _cell_tone(row: Field, column: Field) -> Field:
    index = row.astype(np.int32) * 131 + column.astype(np.int32) * 57
    return _random_table()[index & 4095]


def _seam(distance: Field, width: float, pixel: Field) -> Field:
    """Darkness in 0..1 of a joint, by the distance to it in metres."""
    spread = np.maximum(pixel, width)
    return np.clip(1.0 - distance / spread, 0, 1) * (width / spread)


def _fade(pixel: Field, detail: float) -> Field:
    """Visibility 0..1 of detail of a size in metres."""
    return 1.0 / (1.0 + (pixel / detail) ** 2)


def grass(u: Field, v: Field, pixel: Field) -> Field:
    """Blades near by, meadow patches far away."""
    blades = look_up(noise(0.5, 24, 1), u * 70, v * 32) * _fade(pixel, 0.03)
    tufts = look_up(noise(1.0, 6, 2), u * 30, v * 22) * _fade(pixel, 0.2)
    patches = look_up(noise(1.6, 1, 3), u * 9, v * 6)
    return 0.10 * blades + 0.07 * tufts + 0.06 * patches


def asphalt(u: Field, v: Field, pixel: Field) -> Field:
    """Fine grain with worn, darker stains."""
    grain = look_up(noise(0.2, 60, 4), u * 90, v * 90) * _fade(pixel, 0.02)
    wear = look_up(noise(1.5, 2, 5), u * 40, v * 9)
    return 0.05 * grain + 0.045 * wear


def paving(u: Field, v: Field, pixel: Field) -> Field:
    """Square slabs of 0.6 m."""
    row, column = np.floor(v / 0.6), np.floor(u / 0.6)
    edge = np.minimum(
        np.minimum(v - row * 0.6, (row + 1) * 0.6 - v),
        np.minimum(u - column * 0.6, (column + 1) * 0.6 - u),
    )
    grain = look_up(noise(0.6, 20, 6), u * 60, v * 60) * _fade(pixel, 0.04)
    tone = 0.06 * _cell_tone(row, column) * _fade(pixel, 0.5)
    return tone + 0.03 * grain - 0.25 * _seam(edge, 0.02, pixel)


def planks(u: Field, v: Field, pixel: Field) -> Field:
    """Floor boards 0.14 m wide and 1.6 m long, running along v."""
    row = np.floor(u / 0.14)
    start = _cell_tone(row, row * 0) * 0.8
    column = np.floor((v + start) / 1.6)
    side = np.minimum(u - row * 0.14, (row + 1) * 0.14 - u)
    end = np.minimum((v + start) - column * 1.6, (column + 1) * 1.6 - (v + start))
    veins = look_up(noise(1.0, 10, 7), u * 260 + 40 * _cell_tone(column, row), v * 26)
    tone = 0.13 * _cell_tone(row, column) * _fade(pixel, 0.2)
    seams = np.maximum(_seam(side, 0.006, pixel), _seam(end, 0.006, pixel))
    return tone + 0.05 * veins * _fade(pixel, 0.03) - 0.45 * seams


def bricks(u: Field, v: Field, pixel: Field) -> Field:
    """Running bond, bricks 0.30 x 0.11 m."""
    row = np.floor(v / 0.11)
    shifted = u + 0.15 * (row.astype(np.int32) & 1)
    column = np.floor(shifted / 0.30)
    edge = np.minimum(
        np.minimum(v - row * 0.11, (row + 1) * 0.11 - v),
        np.minimum(shifted - column * 0.30, (column + 1) * 0.30 - shifted),
    )
    grain = look_up(noise(0.6, 20, 8), u * 80, v * 80)
    tone = 0.12 * _cell_tone(row, column) * _fade(pixel, 0.2)
    return tone + 0.03 * grain + 0.22 * _seam(edge, 0.012, pixel)


def plaster(u: Field, v: Field, pixel: Field) -> Field:
    """A painted wall: soft blotches and a little grain."""
    blotches = look_up(noise(1.6, 2, 9), u * 34, v * 34)
    grain = look_up(noise(0.3, 40, 10), u * 110, v * 110) * _fade(pixel, 0.02)
    return 0.025 * blotches + 0.018 * grain


def sand(u: Field, v: Field, pixel: Field) -> Field:
    """Grains, ripples and dunes."""
    grain = look_up(noise(0.3, 50, 12), u * 90, v * 60) * _fade(pixel, 0.03)
    ripples = look_up(noise(1.2, 8, 13), u * 14, v * 42) * _fade(pixel, 0.2)
    dunes = look_up(noise(1.7, 1, 14), u * 12, v * 8)
    return 0.05 * grain + 0.035 * ripples + 0.03 * dunes


def waves(u: Field, v: Field, pixel: Field) -> Field:
    """Water seen along z: crests lie across the view."""
    small = look_up(noise(1.0, 14, 15), u * 26, v * 90) * _fade(pixel, 0.12)
    large = look_up(noise(1.3, 4, 16), u * 6, v * 22) * _fade(pixel, 1.2)
    return 0.08 * small + 0.08 * large


def cloth(u: Field, v: Field, pixel: Field) -> Field:
    """Woven upholstery."""
    weave = look_up(noise(0.2, 90, 17), u * 240, v * 240) * _fade(pixel, 0.01)
    folds = look_up(noise(1.5, 3, 18), u * 90, v * 60)
    return 0.05 * weave + 0.035 * folds


def wood(u: Field, v: Field, pixel: Field) -> Field:
    """Furniture wood: veins along u."""
    veins = look_up(noise(1.0, 8, 19), u * 40, v * 300) * _fade(pixel, 0.02)
    return 0.08 * veins


def stripes(u: Field, v: Field, pixel: Field) -> Field:
    """Wallpaper or cloth with stripes 0.16 m wide."""
    return 0.05 * np.tanh(np.sin(u * (np.pi / 0.16)) * 6) + 0.4 * plaster(u, v, pixel)


PATTERNS: dict[str, Callable[[Field, Field, Field], Field]] = {
    "asphalt": asphalt,
    "bricks": bricks,
    "cloth": cloth,
    "grass": grass,
    "paving": paving,
    "planks": planks,
    "plaster": plaster,
    "sand": sand,
    "stripes": stripes,
    "waves": waves,
    "wood": wood,
}
