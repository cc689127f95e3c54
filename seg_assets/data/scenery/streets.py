"""Town scenes: a street into the depth, and a road across the view.

Each function paints a whole scene onto an empty canvas, far to near.
"""

import numpy as np

from seg_assets.data.scenery.animals import dog
from seg_assets.data.scenery.buildings import block, house
from seg_assets.data.scenery.canvas import UPWARDS, Canvas, Face
from seg_assets.data.scenery.cars import car
from seg_assets.data.scenery.light import rgb
from seg_assets.data.scenery.people import person
from seg_assets.data.scenery.plants import FAR, level, paint_lawn, season, tree
from seg_assets.data.scenery.shapes import lay, rectangle
from seg_assets.data.scenery.sky import paint_mountains, paint_sky
from seg_assets.data.scenery.street_things import (
    bench,
    fence,
    stop_sign,
    street_lamp,
    traffic_light,
)
from seg_assets.data.scenery.things import Things, spread_depths
from seg_assets.data.scenery.vehicles import bus

ASPHALT, KERB, SLABS, MARKING = rgb(0x6C6E75), rgb(0x9A968E), rgb(0xB9B2A6), rgb(0xEDE8DA)
AWAY, TOWARDS = np.pi / 2, -np.pi / 2  # headings


def _mark(canvas: Canvas, rectangles: list[np.ndarray]) -> None:
    """Paint white marks on the road; they belong to it."""
    outlines = [lay(outline) for outline in rectangles]
    canvas.paint(Face(0, outlines, MARKING, UPWARDS, gradient=0.0, casts=False))


def street(canvas: Canvas) -> None:
    """A street that runs away from the viewer between two rows of buildings."""
    rng, camera = canvas.rng, canvas.camera
    paint_sky(canvas)
    if rng.random() < 0.4:
        paint_mountains(canvas)
    half, walk = float(rng.uniform(4.2, 5.4)), float(rng.uniform(2.6, 3.6))
    paint_lawn(canvas)
    pavement = canvas.entity("pavement-merged", ground=True)
    road = canvas.entity("road", ground=True)
    canvas.paint(level(pavement, -half - walk, half + walk, 0.5, FAR, SLABS, "paving"))
    canvas.paint(level(road, -half - 0.18, half + 0.18, 0.5, FAR, KERB, ""))
    canvas.paint(level(road, -half, half, 0.5, FAR, ASPHALT, "asphalt"))
    _mark(
        canvas,
        [rectangle(-0.09, z, 0.09, z + 2.2) for z in np.arange(rng.uniform(0.5, 3), 90, 5.0)],
    )
    stripes = float(rng.uniform(7, 12)) if rng.random() < 0.5 else 0.0
    if stripes:
        _mark(
            canvas,
            [
                rectangle(a, stripes, a + 0.55, stripes + 2.6)
                for a in np.arange(-half + 0.3, half - 0.5, 1.1)
            ],
        )
    things = Things()
    leaves = season(rng)
    for side in (-1, 1):
        _row_of_buildings(canvas, things, side, half + walk, leaves)
        for z in spread_depths(rng, int(rng.integers(1, 4)), 8, 40):
            if rng.random() < 0.6:
                things.add(z, tree, side * (half + 1.0), z, float(rng.uniform(4, 6)), leaves)
            else:
                things.add(z, street_lamp, side * (half + 0.7), z, -side)
    for z in spread_depths(rng, int(rng.integers(2, 5)), 6.5, 32):
        lane = float(rng.choice([-1, 1]))
        heading = AWAY if lane > 0 else TOWARDS
        if rng.random() < 0.28 and z > 9:
            things.add(z, bus, lane * half * 0.5, z + 3, heading)
        else:
            things.add(z, car, lane * half * 0.5, z, heading)
    if rng.random() < 0.75:
        z = float(rng.uniform(5, 8))
        reach = min(half + 0.6, camera.half_width(z, canvas.width) * 0.72)
        sign = traffic_light if rng.random() < 0.6 else stop_sign
        things.add(z, sign, float(rng.choice([-1, 1])) * reach, z)
    _walkers(canvas, things, half, walk, stripes)
    things.place(canvas)


def _walkers(canvas: Canvas, things: Things, half: float, walk: float, stripes: float) -> None:
    """People on the pavements, and on the stripes of a crossing at depth `stripes` (0: none)."""
    rng = canvas.rng
    for z in spread_depths(rng, int(rng.integers(1, 5)), 5, 16):
        reach = canvas.camera.half_width(z, canvas.width) * 0.92
        if stripes and rng.random() < 0.35:
            things.add(stripes + 1.2, person, float(rng.uniform(-0.8, 0.8)) * half, stripes + 1.2)
        else:
            x = min(half + float(rng.uniform(0.6, walk - 0.5)), reach)
            things.add(z, person, float(rng.choice([-1, 1])) * x, z)


def _row_of_buildings(
    canvas: Canvas, things: Things, side: int, edge: float, leaves: tuple[int, ...]
) -> None:
    """Buildings from near to far along one side; here and there a tree in a gap."""
    rng = canvas.rng
    z = float(rng.uniform(5, 9))
    near, far = (edge, edge + 12) if side > 0 else (-edge - 12, -edge)
    while z < 55:
        length = float(rng.uniform(9, 15))
        if rng.random() < 0.86:
            things.add(z + length, block, near, far, z, z + length, float(rng.uniform(6.5, 15)))
        else:
            things.add(z + 4, tree, side * (edge + 3), z + 3, float(rng.uniform(5, 8)), leaves)
        z += length + float(rng.choice([0.0, rng.uniform(1, 5)]))


def crossing(canvas: Canvas) -> None:
    """A road across the view with traffic from the side, buildings or houses behind it."""
    rng = canvas.rng
    paint_sky(canvas)
    if rng.random() < 0.5:
        paint_mountains(canvas)
    near = float(rng.uniform(5.0, 6.5))
    far = near + float(rng.uniform(6.5, 8.0))
    walk = float(rng.uniform(2.0, 3.0))
    paint_lawn(canvas)
    pavement = canvas.entity("pavement-merged", ground=True)
    road = canvas.entity("road", ground=True)
    canvas.paint(level(pavement, -60, 60, near - walk, far + walk, SLABS, "paving"))
    canvas.paint(level(road, -60, 60, near - 0.15, far + 0.15, KERB, ""))
    canvas.paint(level(road, -60, 60, near, far, ASPHALT, "asphalt"))
    middle = (near + far) / 2
    _mark(
        canvas,
        [rectangle(a, middle - 0.07, a + 1.8, middle + 0.07) for a in np.arange(-40, 40, 4.0)],
    )
    things = Things()
    if rng.random() < 0.6:
        _town_behind(canvas, things, far + walk)
    else:
        _gardens_behind(canvas, things, far + walk)
    _traffic(canvas, things, near, far)
    signs = [stop_sign, traffic_light]
    for z in (far + walk * 0.5, near - walk * 0.45, near - walk * 0.7):
        reach = canvas.camera.half_width(z, canvas.width) * 0.85
        x, kind = float(rng.uniform(-1, 1)) * reach, rng.random()
        if kind < 0.5:
            things.add(z, person, x, z)
            if rng.random() < 0.3:
                things.add(z - 0.05, dog, x + 0.8, z)
        elif kind < 0.8:
            if signs:
                things.add(z, signs.pop(int(rng.integers(len(signs)))), x, z)
        elif z > near:
            things.add(z, bench, x, z)
    things.place(canvas)


def _traffic(canvas: Canvas, things: Things, near: float, far: float) -> None:
    """Cars and buses on the two lanes of a road across the view."""
    rng = canvas.rng
    for lane, heading in ((0.75, np.pi), (0.27, 0.0)):
        z = near + (far - near) * lane
        x = float(rng.uniform(-0.9, 0.3)) * canvas.camera.half_width(z, canvas.width)
        kind = rng.random()
        if kind < 0.32:
            things.add(z, bus, x, z, heading)
        elif kind < 0.9:
            things.add(z, car, x, z, heading)
            if rng.random() < 0.45:
                things.add(z, car, x + float(rng.uniform(5.4, 7)), z, heading)


def _town_behind(canvas: Canvas, things: Things, back: float) -> None:
    """A row of town buildings that faces the viewer."""
    rng = canvas.rng
    wide = canvas.camera.half_width(back + 3, canvas.width)
    x = -wide * 1.25
    while x < wide * 1.2:
        length = float(rng.uniform(7, 12))
        if rng.random() < 0.8:
            things.add(
                back + 8, block, x, x + length, back + 0.2, back + 9, float(rng.uniform(5.5, 11))
            )
        else:
            things.add(back + 3, tree, x + 3, back + 2, float(rng.uniform(5, 7)), season(rng))
        x += length + float(rng.choice([0.0, 2.0]))


def _gardens_behind(canvas: Canvas, things: Things, back: float) -> None:
    """Houses, trees and a fence behind the road."""
    rng = canvas.rng
    wide = canvas.camera.half_width(back + 3, canvas.width)
    leaves = season(rng)
    for side in (-0.55, 0.55):
        if rng.random() < 0.85:
            things.add(
                back + 12,
                house,
                side * wide,
                back + 9,
                float(rng.uniform(-0.4, 0.4)),
                float(rng.uniform(0.9, 1.15)),
            )
    for _ in range(int(rng.integers(2, 5))):
        z = back + float(rng.uniform(1.5, 11))
        things.add(z, tree, float(rng.uniform(-1, 1)) * wide, z, float(rng.uniform(4.5, 7)), leaves)
    if rng.random() < 0.7:
        left = float(rng.uniform(-1.2, -0.2)) * wide
        things.add(back + 0.6, fence, left, left + wide * 1.1, back + 0.6)
