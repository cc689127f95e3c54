"""Open scenes: park, meadow and shore.

Each function paints a whole scene onto an empty canvas, far to near.
"""

import numpy as np

from seg_assets.data.scenery.animals import dog, sheep
from seg_assets.data.scenery.buildings import block, house
from seg_assets.data.scenery.canvas import UPWARDS, Canvas, Face
from seg_assets.data.scenery.light import mix, rgb
from seg_assets.data.scenery.people import ball, person, umbrella
from seg_assets.data.scenery.plants import FAR, bush, fir, paint_lawn, palm, season, tree
from seg_assets.data.scenery.shapes import lay, smooth
from seg_assets.data.scenery.sky import paint_mountains, paint_sky
from seg_assets.data.scenery.street_things import bench, fence
from seg_assets.data.scenery.things import Things, spread_depths
from seg_assets.data.scenery.vehicles import boat

POND_REACH = 4.4  # metres from a pond's middle to dry land


def _across(canvas: Canvas, z: float, share: float) -> float:
    """A random x at depth z, within a share of what the picture sees."""
    return float(canvas.rng.uniform(-share, share)) * canvas.camera.half_width(z, canvas.width)


def park(canvas: Canvas) -> None:
    """Lawn and trees with a winding path, a pond at times, people and dogs."""
    rng = canvas.rng
    paint_sky(canvas)
    if rng.random() < 0.4:
        paint_mountains(canvas)
    leaves = season(rng)
    paint_lawn(canvas)
    things = Things()
    for z in rng.uniform(30, 60, 9).tolist():
        things.add(z, tree, _across(canvas, z, 1.0), z, float(rng.uniform(6, 9)), leaves)
    if rng.random() < 0.35:
        x = _across(canvas, 55, 0.8)
        things.add(62, block, x - 8, x + 8, 62, 70, float(rng.uniform(12, 24)), shops=False)
    side = float(rng.choice([-1, 1]))
    if rng.random() < 0.75:
        _path(canvas, side)
    pond: tuple[float, float] | None = None
    if rng.random() < 0.5:
        pond = (-side * float(rng.uniform(2.5, 4.5)), float(rng.uniform(9, 13)))
        _pond(canvas, *pond)
    for z in spread_depths(rng, int(rng.integers(1, 4)), 9, 26):
        reach = canvas.camera.half_width(z, canvas.width)
        x = float(rng.choice([-1, 1]) * rng.uniform(0.35, 1.0)) * reach
        size = float(rng.uniform(4.5, 7.5))
        if _is_dry(x, z, pond):
            things.add(z, tree, x, z, size, leaves)
    for z in spread_depths(rng, int(rng.integers(2, 6)), 4.2, 12):
        x = _across(canvas, z, 0.85)
        if _is_dry(x, z, pond):
            _visit(canvas, things, x, z, leaves)
    things.place(canvas)


def _is_dry(x: float, z: float, pond: tuple[float, float] | None) -> bool:
    """Whether a place is not in the pond."""
    return pond is None or float(np.hypot(x - pond[0], z - pond[1])) > POND_REACH


def _visit(canvas: Canvas, things: Things, x: float, z: float, leaves: tuple[int, ...]) -> None:
    """Add a person, a dog, a bench, a bush or a ball to the foreground of a park."""
    rng = canvas.rng
    kind = rng.random()
    if kind < 0.42:
        things.add(z, person, x, z)
        if rng.random() < 0.35:
            things.add(z - 0.02, umbrella, x + 0.12, z)
    elif kind < 0.58:
        things.add(z, dog, x, z, float(rng.uniform(0.85, 1.1)))
    elif kind < 0.80:
        things.add(z, bench, x, z, float(rng.uniform(-0.5, 0.5)))
    elif kind < 0.90:
        things.add(z, bush, x, z, 1.0, rgb(int(rng.choice(leaves))))
    else:
        things.add(z, ball, x, z, float(rng.uniform(0.28, 0.42)))


def _path(canvas: Canvas, side: float) -> None:
    """A sandy path that winds into the depth."""
    rng = canvas.rng
    path = canvas.entity("pavement-merged", ground=True)
    z = np.geomspace(0.8, 60, 26)
    bend = side * (1.6 * np.sin(z / rng.uniform(5, 8)) + 0.06 * z) + rng.uniform(-1, 1)
    outline = np.concatenate(
        [np.column_stack([bend - 1.3, z]), np.column_stack([bend + 1.3, z])[::-1]]
    )
    canvas.paint(
        Face(
            path, [lay(outline)], rgb(0xD0BC97), UPWARDS, texture="sand", gradient=0.0, casts=False
        )
    )


def _pond(canvas: Canvas, x: float, z: float) -> None:
    """A pond with a bank, in the lawn."""
    rng = canvas.rng
    water = canvas.entity("water-other")
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    reach = rng.uniform(0.85, 1.15, 14)
    rim = smooth(np.column_stack([x + 3.4 * reach * np.cos(turn), z + 3.6 * reach * np.sin(turn)]))
    bank = np.array([x, z]) + (rim - (x, z)) * 1.06
    canvas.paint(Face(0, [lay(bank)], rgb(0x8E7B55), UPWARDS, gradient=0.0, casts=False))
    colour = mix(rgb(0x4F86A0), canvas.light.zenith, 0.35)
    canvas.paint(
        Face(water, [lay(rim)], colour, UPWARDS, texture="waves", mirror=0.45, casts=False)
    )


def meadow(canvas: Canvas) -> None:
    """Open country: mountains, a house, a fence, sheep."""
    rng = canvas.rng
    paint_sky(canvas)
    paint_mountains(canvas)
    leaves = season(rng)
    paint_lawn(canvas)
    things = Things()
    for z in rng.uniform(35, 80, 7).tolist():
        size = float(rng.uniform(7, 10))
        if rng.random() < 0.5:
            things.add(z, fir, _across(canvas, z, 1.0), z, size)
        else:
            things.add(z, tree, _across(canvas, z, 1.0), z, size, leaves)
    if rng.random() < 0.85:
        z = float(rng.uniform(19, 28))
        things.add(z + 3, house, _across(canvas, z, 0.6), z, float(rng.uniform(-0.5, 0.5)), 1.1)
    if rng.random() < 0.7:
        z = float(rng.uniform(11, 14))
        wide = canvas.camera.half_width(z, canvas.width) * 1.1
        start = float(rng.choice([-1.0, -0.2])) * wide
        things.add(z, fence, start, start + wide * float(rng.uniform(0.9, 2.0)), z, 1.3)
    for z in spread_depths(rng, int(rng.integers(1, 3)), 10, 20):
        reach = canvas.camera.half_width(z, canvas.width)
        x = float(rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)) * reach
        things.add(z, tree, x, z, float(rng.uniform(4.5, 7)), leaves)
    for z in spread_depths(rng, int(rng.integers(2, 6)), 4.5, 10.5):
        kind = rng.random()
        if kind < 0.72:
            things.add(z, sheep, _across(canvas, z, 0.85), z)
        else:
            things.add(z, person if kind < 0.88 else dog, _across(canvas, z, 0.85), z)
    things.place(canvas)


def shore(canvas: Canvas) -> None:
    """A beach: sea with sails, sand with parasols, people, balls and palms."""
    rng = canvas.rng
    paint_sky(canvas)
    if rng.random() < 0.45:
        paint_mountains(canvas)
    paint_sea(canvas)
    beach = float(rng.uniform(9, 14))
    for z in sorted(spread_depths(rng, int(rng.integers(1, 4)), beach + 9, 55), reverse=True):
        canvas.place(
            boat(canvas, _across(canvas, z, 0.8), z, float(rng.uniform(0.9, 1.2))), shadow=False
        )
    paint_beach(canvas, beach)
    things = Things()
    if rng.random() < 0.6:
        side = float(rng.choice([-1, 1]))
        for z in spread_depths(rng, int(rng.integers(1, 3)), 6.5, 10):
            x = side * float(rng.uniform(0.55, 0.95)) * canvas.camera.half_width(z, canvas.width)
            things.add(z, palm, x, z, float(rng.uniform(4, 5.5)))
    for z in spread_depths(rng, int(rng.integers(2, 6)), 4.2, beach - 1.2):
        x, kind = _across(canvas, z, 0.85), rng.random()
        if kind < 0.45:
            things.add(z, person, x, z)
        elif kind < 0.78:
            things.add(z, umbrella, x, z, top=2.3, spread=1.15, foot=0.0)
        elif kind < 0.9:
            things.add(z, ball, x, z, float(rng.uniform(0.28, 0.42)))
        else:
            things.add(z, dog, x, z, 1.0)
    things.place(canvas)


def paint_sea(canvas: Canvas) -> None:
    """Cover all ground with water."""
    sea = canvas.entity("sea")
    water = mix(rgb(0x2E8FA8), canvas.light.zenith, 0.3)
    all_of_it = np.array([(-FAR, 0.5), (FAR, 0.5), (FAR, FAR), (-FAR, FAR)])
    canvas.paint(
        Face(
            sea,
            [lay(all_of_it)],
            water,
            UPWARDS,
            texture="waves",
            gradient=0.0,
            mirror=0.3,
            casts=False,
        )
    )


def paint_beach(canvas: Canvas, depth: float) -> None:
    """Foam, wet and dry sand in front of the water line at about a depth."""
    rng = canvas.rng
    sand = canvas.entity("sand", ground=True)
    x = np.linspace(-40, 40, 80)
    slope = 0.05 * float(rng.choice([-1, 1]))
    line = depth + 0.9 * np.sin(x / rng.uniform(3, 6) + rng.uniform(0, 6)) + slope * x
    for out, alpha in ((1.0, 0.55), (0.35, 0.35)):
        foam = np.concatenate([np.column_stack([x, line + out]), [(40, 0.5), (-40, 0.5)]])
        canvas.paint(
            Face(0, [lay(foam)], (1, 1, 1), UPWARDS, gradient=0.0, alpha=alpha, casts=False)
        )
    colour = mix(rgb(0xE3C998), rgb(0xD2B27C), rng.uniform())
    outline = np.concatenate([np.column_stack([x, line]), [(40, 0.5), (-40, 0.5)]])
    canvas.paint(
        Face(sand, [lay(outline)], colour, UPWARDS, texture="sand", gradient=0.0, casts=False)
    )
    wet = np.concatenate([np.column_stack([x, line]), np.column_stack([x, line - 0.7])[::-1]])
    canvas.paint(
        Face(
            0,
            [lay(wet)],
            mix(colour, (0, 0, 0), 0.4),
            UPWARDS,
            gradient=0.0,
            alpha=0.5,
            casts=False,
        )
    )
