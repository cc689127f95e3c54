"""The indoor scenes: a living room, a bedroom and a dining room in one-point perspective."""

import numpy as np

from seg_assets.data.scenery.animals import cat, dog
from seg_assets.data.scenery.canvas import Canvas
from seg_assets.data.scenery.furniture import bed, bookshelf, cabinet, rug, table
from seg_assets.data.scenery.people import ball, person
from seg_assets.data.scenery.room_shell import Room, dress_wall, empty_room
from seg_assets.data.scenery.room_things import (
    floor_lamp,
    potted_plant,
    television,
    vase,
)
from seg_assets.data.scenery.seats import chair, couch
from seg_assets.data.scenery.things import Things

Spot = tuple[float, float, float, float]  # x from, x to, z from, z to


def _corners(canvas: Canvas, room: Room, things: Things, taken: float) -> None:
    """Fill the back corners with a plant, a shelf or a lamp; `taken` is the middle's half width."""
    rng = canvas.rng
    for side in (-1.0, 1.0):
        edge = room.left if side < 0 else room.right
        free = abs(edge) - taken
        kind = rng.random()
        z = room.back - 0.3
        if kind < 0.32 and free > 0.5:
            things.add(z, potted_plant, edge - side * 0.45, z, float(rng.uniform(0.95, 1.4)))
        elif kind < 0.62 and free > 1.15:
            things.add(z, bookshelf, edge - side * 0.6, z + 0.1)
        elif kind < 0.85 and free > 0.45:
            things.add(z, floor_lamp, edge - side * 0.4, z)


def _company(canvas: Canvas, room: Room, things: Things, occupied: list[Spot]) -> None:
    """Perhaps a person, an animal or a ball on floor that no furniture occupies."""
    rng = canvas.rng
    for chance, make, nearest in (
        (0.5, person, 3.0),
        (0.3, cat, 2.4),
        (0.22, dog, 2.6),
        (0.18, ball, 2.3),
    ):
        if rng.random() >= chance:
            continue
        for _ in range(8):  # a few tries; a crowded room stays as it is
            z = float(rng.uniform(nearest, room.back - 0.6))
            reach = canvas.camera.half_width(z, canvas.width) * 0.85
            x = float(np.clip(rng.uniform(-reach, reach), room.left + 0.4, room.right - 0.4))
            if any(
                x0 - 0.35 < x < x1 + 0.35 and z0 - 0.3 < z < z1 + 0.3 for x0, x1, z0, z1 in occupied
            ):
                continue
            occupied.append((x - 0.3, x + 0.3, z - 0.2, z + 0.2))
            size = [float(rng.uniform(0.19, 0.26))] if make is ball else []
            things.add(z, make, x, z, *size)
            break


def living_room(canvas: Canvas) -> None:
    """A couch or a television at the back wall, a rug and a low table before it."""
    rng = canvas.rng
    room = empty_room(canvas)
    middle = float(rng.uniform(-0.35, 0.35))
    things = Things()
    if rng.random() < 0.8:
        canvas.place(
            rug(canvas, middle, room.back - 2.0, rng.uniform(1.1, 1.5), rng.uniform(0.6, 0.9))
        )
    if rng.random() < 0.62:
        dress_wall(canvas, room, [(middle - 1.2, middle + 1.2)], doors=False)
        z = room.back - 0.62
        things.add(z, couch, middle, z, seats=int(rng.integers(2, 4)))
        if rng.random() < 0.7:
            z -= 1.25
            things.add(
                z,
                table,
                middle,
                z,
                name="dining table",
                long=float(rng.uniform(0.9, 1.2)),
                deep=0.55,
                high=0.42,
            )
            if rng.random() < 0.6:
                things.add(z - 0.05, vase, middle + float(rng.uniform(-0.25, 0.25)), z, 0.42)
        occupied = [
            (middle - 1.3, middle + 1.3, room.back - 1.2, room.back),
            (middle - 0.6, middle + 0.6, room.back - 2.2, room.back - 1.2),
        ]
        taken = 1.3
    else:
        dress_wall(
            canvas, room, [(room.left + 0.1, middle - 0.95), (middle + 0.95, room.right - 0.1)]
        )
        z = room.back - 0.28
        things.add(z, cabinet, middle, z, long=1.7, high=0.55)
        things.add(z - 0.01, television, middle, z, 0.55, float(rng.uniform(1.1, 1.4)))
        side = float(rng.choice([-1, 1]))
        z = room.back - 1.9
        things.add(z, couch, side * 1.25 + middle, z, side * 0.9, seats=1)
        occupied = [
            (middle - 0.9, middle + 0.9, room.back - 0.6, room.back),
            (side * 1.25 + middle - 0.6, side * 1.25 + middle + 0.6, z - 0.6, z + 0.6),
        ]
        taken = 0.95
    _corners(canvas, room, things, taken)
    _company(canvas, room, things, occupied)
    things.place(canvas)


def bedroom(canvas: Canvas) -> None:
    """A bed with its head at the back wall, a cabinet with a lamp beside it."""
    rng = canvas.rng
    room = empty_room(canvas)
    side = float(rng.choice([-1, 1]))
    middle = side * float(rng.uniform(0.2, 0.6))
    things = Things()
    free = (room.left + 0.2, middle - 0.95) if side > 0 else (middle + 0.95, room.right - 0.2)
    dress_wall(canvas, room, [free])
    dress_wall(canvas, room, [(middle - 0.6, middle + 0.6)], doors=False)
    if rng.random() < 0.6:
        canvas.place(rug(canvas, middle - side * 0.4, room.back - 2.3, 1.4, 0.6))
    z = room.back - 0.1
    wide = float(rng.uniform(1.4, 1.8))
    beside = middle - side * (wide / 2 + 0.45)
    things.add(z - 0.2, cabinet, beside, z - 0.25, long=0.5, high=0.55)
    things.add(z - 0.21, floor_lamp, beside, z - 0.25, 0.62, base=0.55)
    things.add(z - 0.4, bed, middle, z, wide=wide)
    if rng.random() < 0.5:
        chair_z = room.back - float(rng.uniform(1.3, 2.2))
        things.add(chair_z, chair, -side * float(rng.uniform(1.1, 1.5)), chair_z, -side * 0.6)
    _corners(canvas, room, things, abs(beside) + 0.4)
    occupied = [
        (middle - wide / 2, middle + wide / 2, z - 2.2, z),
        (beside - 0.3, beside + 0.3, z - 0.5, z),
    ]
    _company(canvas, room, things, occupied)
    things.place(canvas)


def dining_room(canvas: Canvas) -> None:
    """A table with chairs round it, a cabinet and a window behind."""
    rng = canvas.rng
    room = empty_room(canvas)
    middle = float(rng.uniform(-0.4, 0.4))
    things = Things()
    dress_wall(canvas, room, [(room.left + 0.2, -0.5), (-0.3, room.right - 0.2)])
    z = room.back - float(rng.uniform(1.5, 2.0))
    if rng.random() < 0.6:
        canvas.place(rug(canvas, middle, z, 1.5, 0.85))
    long = float(rng.uniform(1.3, 1.7))
    things.add(z, table, middle, z, name="dining table", long=long, deep=0.85, high=0.75)
    if rng.random() < 0.75:
        things.add(z - 0.1, vase, middle + float(rng.uniform(-0.3, 0.3)), z, 0.75)
    for along in (-0.3 * long, 0.3 * long):
        if rng.random() < 0.8:
            things.add(z + 0.6, chair, middle + along, z + 0.6, 0.0)
        if rng.random() < 0.45:
            things.add(z - 0.55, chair, middle + along, z - 0.55, np.pi)
    for side in (-1.0, 1.0):
        if rng.random() < 0.6:
            things.add(
                z + 0.05 * side, chair, middle + side * (long / 2 + 0.35), z, -side * np.pi / 2
            )
    if rng.random() < 0.5:
        back = room.back - 0.25
        at = float(rng.choice([-1, 1])) * 1.2
        things.add(back, cabinet, at, back, long=1.1, high=0.85)
        things.add(back - 0.01, potted_plant, at, back, 0.5, base=0.85)
    _corners(canvas, room, things, long / 2 + 0.6)
    occupied = [(middle - long / 2 - 0.6, middle + long / 2 + 0.6, z - 0.8, z + 0.8)]
    _company(canvas, room, things, occupied)
    things.place(canvas)
