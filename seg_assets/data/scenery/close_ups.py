"""Close views: one to three large things before a plain background.

Small models learn them on a CPU, where the wide scenes with their many small things take far
longer. Each function paints a whole scene onto an empty canvas, far to near.
"""

import numpy as np

from seg_assets.data.scenery.animals import cat, dog, sheep
from seg_assets.data.scenery.buildings import house
from seg_assets.data.scenery.canvas import Canvas
from seg_assets.data.scenery.cars import car
from seg_assets.data.scenery.furniture import bed, cabinet, rug, table
from seg_assets.data.scenery.light import rgb
from seg_assets.data.scenery.outdoor import paint_beach, paint_sea
from seg_assets.data.scenery.people import ball, person, umbrella
from seg_assets.data.scenery.plants import bush, level, paint_lawn, season, tree
from seg_assets.data.scenery.room_shell import empty_room
from seg_assets.data.scenery.room_things import potted_plant, television
from seg_assets.data.scenery.seats import chair, couch
from seg_assets.data.scenery.sky import paint_mountains, paint_sky
from seg_assets.data.scenery.streets import ASPHALT, KERB, SLABS
from seg_assets.data.scenery.things import Things
from seg_assets.data.scenery.vehicles import boat, bus


def _places(canvas: Canvas, count: int, near: float, far: float) -> list[tuple[float, float]]:
    """As many places (x, z) side by side: each has its own share of the picture's width."""
    rng = canvas.rng
    places = []
    for slot in rng.permutation(count).tolist():
        z = float(rng.uniform(near, far))
        share = (slot + rng.uniform(0.3, 0.7)) / count * 2 - 1
        places.append((0.85 * float(share) * canvas.camera.half_width(z, canvas.width), z))
    return places


def _count(canvas: Canvas) -> int:
    """One to three things, mostly two."""
    return int(canvas.rng.choice([1, 2, 3], p=[0.3, 0.45, 0.25]))


def lawn(canvas: Canvas) -> None:
    """Grass with people, animals, a bush or a ball; a house or a tree behind."""
    rng = canvas.rng
    paint_sky(canvas)
    if rng.random() < 0.25:
        paint_mountains(canvas)
    paint_lawn(canvas)
    leaves = season(rng)
    things = Things()
    for x, z in _places(canvas, 2, 11, 15):
        kind = rng.random()
        if kind < 0.3:
            things.add(z + 5, house, x, z + 5, float(rng.uniform(-0.4, 0.4)), 1.1)
        elif kind < 0.75:
            things.add(z, tree, x, z, float(rng.uniform(5, 7)), leaves)
    for x, z in _places(canvas, _count(canvas), 2.9, 4.2):
        kind = rng.random()
        if kind < 0.3:
            things.add(z, person, x, z)
        elif kind < 0.55:
            things.add(z, sheep, x, z)
        elif kind < 0.78:
            things.add(z, dog, x, z, float(rng.uniform(1.1, 1.3)))
        elif kind < 0.92:
            things.add(z, ball, x, z, float(rng.uniform(0.4, 0.5)))
        else:
            things.add(z, bush, x, z, 1.0, rgb(int(rng.choice(leaves))))
    things.place(canvas)


def roadside(canvas: Canvas) -> None:
    """A road across the view with a car or a bus; a person or a dog on the near pavement."""
    rng = canvas.rng
    paint_sky(canvas)
    paint_lawn(canvas)
    pavement = canvas.entity("pavement-merged", ground=True)
    road = canvas.entity("road", ground=True)
    near = float(rng.uniform(4.0, 4.8))
    far = near + float(rng.uniform(5.0, 7.0))
    canvas.paint(level(pavement, -60, 60, 0.5, near, SLABS, "paving"))
    canvas.paint(level(road, -60, 60, near - 0.12, far + 0.15, KERB, ""))
    canvas.paint(level(road, -60, 60, near, far, ASPHALT, "asphalt"))
    leaves = season(rng)
    things = Things()
    for x, z in _places(canvas, 2, far + 2, far + 6):
        kind = rng.random()
        if kind < 0.35:
            things.add(z + 5, house, x, z + 5, float(rng.uniform(-0.4, 0.4)), 1.1)
        elif kind < 0.7:
            things.add(z, tree, x, z, float(rng.uniform(4.5, 6.5)), leaves)
    z = near + float(rng.uniform(2.2, 2.8))
    x = float(rng.uniform(-0.5, 0.5)) * canvas.camera.half_width(z, canvas.width)
    heading = float(rng.choice([0.0, np.pi]) + rng.uniform(-0.12, 0.12))
    if rng.random() < 0.25:
        things.add(z + 1, bus, x, z + 1, heading)
    else:
        things.add(z, car, x, z, heading)
    for x, z in _places(canvas, int(rng.integers(0, 3)), 2.9, 3.7):
        if rng.random() < 0.65:
            things.add(z, person, x, z)
        else:
            things.add(z, dog, x, z, float(rng.uniform(1.0, 1.2)))
    things.place(canvas)


def waterside(canvas: Canvas) -> None:
    """A beach with people, parasols, balls or dogs, and a boat on the sea."""
    rng = canvas.rng
    paint_sky(canvas)
    if rng.random() < 0.25:
        paint_mountains(canvas)
    paint_sea(canvas)
    edge = float(rng.uniform(5.5, 7.5))
    for x, z in _places(canvas, 2, edge + 7, edge + 11):
        if rng.random() < 0.55:
            canvas.place(boat(canvas, x, z, float(rng.uniform(1.0, 1.3))), shadow=False)
    paint_beach(canvas, edge)
    things = Things()
    for x, z in _places(canvas, _count(canvas), 2.9, 4.2):
        kind = rng.random()
        if kind < 0.42:
            things.add(z, person, x, z)
        elif kind < 0.64:
            things.add(z, umbrella, x, z, top=1.9, spread=0.9, foot=0.0)
        elif kind < 0.82:
            things.add(z, ball, x, z, float(rng.uniform(0.4, 0.5)))
        else:
            things.add(z, dog, x, z, float(rng.uniform(1.1, 1.3)))
    things.place(canvas)


def indoors(canvas: Canvas) -> None:
    """A room with one large piece of furniture and at most two more things."""
    rng = canvas.rng
    room = empty_room(canvas, one_wall=True)
    if rng.random() < 0.4:
        canvas.place(rug(canvas, 0.0, 3.2, float(rng.uniform(1.0, 1.4)), 0.7))
    things = Things()
    side = float(rng.choice([-1, 1]))
    x, z = side * float(rng.uniform(0.2, 0.8)), room.back - float(rng.uniform(0.6, 0.9))
    others = _places(canvas, int(rng.integers(1, 3)), 2.3, 3.0)
    kind = rng.random()
    if kind < 0.35:
        things.add(z, couch, x, z, seats=int(rng.integers(2, 4)))
    elif kind < 0.55:
        things.add(z, bed, x, z + 0.4, wide=float(rng.uniform(1.5, 1.8)))
        others = [(-side * 0.55 * canvas.camera.half_width(others[0][1], canvas.width), 2.8)]
    elif kind < 0.75:
        deep = float(rng.uniform(0.7, 0.9))
        things.add(z, table, x, z, name="dining table", long=1.6, deep=deep, high=0.75)
    else:
        things.add(z, cabinet, x, z, long=1.7, high=0.55)
        things.add(z - 0.01, television, x, z, 0.55, float(rng.uniform(1.2, 1.5)))
    for x, z in others:
        kind = rng.random()
        if kind < 0.35:
            things.add(z, person, x, z + 0.3)
        elif kind < 0.58:
            things.add(z, chair, x, z, side * float(rng.uniform(0.3, 1.2)))
        elif kind < 0.78:
            things.add(z, cat, x, z, float(rng.uniform(0.7, 0.85)))
        else:
            things.add(z, potted_plant, x, z, float(rng.uniform(1.1, 1.4)))
    things.place(canvas)
