"""Sky, clouds, sun, and the far mountains."""

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.light import mix, rgb
from seg_assets.data.scenery.shapes import ridge
from seg_assets.data.scenery.textures import TILE, look_up_smooth, noise


def paint_sky(canvas: Canvas) -> None:
    """Fill the canvas with sky down to the horizon (and below, where ground will cover it)."""
    light, camera = canvas.light, canvas.camera
    rows = np.arange(canvas.height, dtype=np.float32)[:, None] + 0.5
    height = ((camera.horizon - rows) / max(camera.horizon, 1.0)).clip(0, 1)[..., None]
    low, high = np.asarray(light.horizon, np.float32), np.asarray(light.zenith, np.float32)
    canvas.pixels[:] = low + (high - low) * height**0.75
    canvas.ids[:] = canvas.entity("sky-other-merged")
    if light.sun[2] > 0:
        _paint_sun(canvas)
    _paint_clouds(canvas)


def _paint_clouds(canvas: Canvas) -> None:
    """Clouds on a level sheet overhead: they shrink towards the horizon."""
    light, camera, rng = canvas.light, canvas.camera, canvas.rng
    sky_rows = min(int(np.ceil(camera.horizon)), canvas.height)
    rows = np.arange(sky_rows, dtype=np.float32)[:, None] + 0.5
    columns = np.arange(canvas.width, dtype=np.float32)[None, :] + 0.5
    depth = camera.focal / np.maximum(camera.horizon - rows, canvas.short_side * 0.02)
    u = (columns - camera.centre_x) / camera.focal * depth * 30 + rng.integers(0, TILE)
    v = np.broadcast_to(depth * 46 + rng.integers(0, TILE), u.shape)
    sheet = noise(1.7, 3, 31)
    wisps = look_up_smooth(noise(1.2, 12, 32), u * 2, v * 2)
    thickness = look_up_smooth(sheet, u, v) + 0.35 * wisps
    behind = look_up_smooth(sheet, u + np.float32(np.sign(light.sun[0]) * 7), v - 6)
    limit = 1.25 - 2.2 * light.clouds
    cover = np.clip((thickness - limit) / 1.1, 0, 1)
    cover = cover * cover * (3 - 2 * cover)
    cover *= np.clip((camera.horizon - rows) / max(camera.horizon, 1.0) * 7, 0, 1)
    lit = np.clip(0.62 + 0.4 * (thickness - behind), 0, 1)[..., None]
    bright = np.asarray(light.cloud_colour, np.float32)
    shade = np.asarray(
        mix(mix(light.cloud_colour, light.zenith, 0.45), (0.5, 0.5, 0.55), 0.15), np.float32
    )
    sky = canvas.pixels[:sky_rows]
    sky += (shade + (bright - shade) * lit - sky) * (0.92 * cover)[..., None]


def _paint_sun(canvas: Canvas) -> None:
    light, camera = canvas.light, canvas.camera
    ahead = camera.focal / light.sun[2]
    x = camera.centre_x + light.sun[0] * ahead
    y = max(camera.horizon - light.sun[1] * ahead, canvas.height * 0.08)
    size = canvas.short_side
    canvas.shine(x, y, size * 0.75, light.sun_colour, 0.30)
    canvas.shine(x, y, size * 0.22, (1.0, 0.85, 0.6), 0.55)
    canvas.shine(x, y, size * 0.065, (1.0, 0.98, 0.9), 3.0)


def paint_mountains(canvas: Canvas, *, distance: float = 320.0) -> None:
    """Two ridges behind each other, the far one paler; snow on the far one at times."""
    rng, camera = canvas.rng, canvas.camera
    entity = canvas.entity("mountain-merged")
    base = mix(rgb(0x4E6B52), rgb(0x6B6A72), rng.uniform())
    for step, paleness in ((1.0, 0.5), (0.6, 0.15)):
        depth = distance * step
        half = camera.half_width(depth, canvas.width) * 1.1
        unit = canvas.height * depth / camera.focal  # metres that the picture's height spans
        high = unit * rng.uniform(0.1, 0.24) * step
        outline = ridge(rng, -half, half, high * 0.25, high, -unit * 0.05, count=7)
        points = np.column_stack([outline, np.full(len(outline), depth)])
        haze = mix(base, canvas.light.haze, paleness)
        # painted without the air in between, which is in the colour already
        canvas.paint(
            Face(
                entity,
                [points * (20.0 / depth) + _eye_shift(canvas, 20.0 / depth)],
                haze,
                texture="leaves",
                strength=0.25,
                gradient=-0.06,
                glow=0.35,
                casts=False,
            )
        )


def _eye_shift(canvas: Canvas, share: float) -> np.ndarray:
    """Shift that keeps a point's picture when it is drawn nearer by a share."""
    return np.array([0.0, canvas.camera.height * (1 - share), 0.0])
