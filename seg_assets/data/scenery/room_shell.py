"""The shell of a room: floor, ceiling, walls, and what hangs on the back wall."""

from dataclasses import dataclass

import numpy as np

from seg_assets.data.scenery.canvas import UPWARDS, Canvas, Face
from seg_assets.data.scenery.light import Colour, mix, rgb
from seg_assets.data.scenery.shapes import lay, rectangle
from seg_assets.data.scenery.wall_things import curtains, door, picture, window

WALLS = (0xD9CFC0, 0xB9C4C0, 0xC9B8A8, 0x9FB0B8, 0xE3D9C4, 0xB8A9B4, 0xA9B79C, 0xD6B9A2, 0x7F98A0)
FLOORS = (0xB08556, 0x8A6040, 0xC9A276, 0x6E4E38)
TILES = (0xC9C2B6, 0xA8A6A0, 0xBFA98F)


@dataclass(frozen=True)
class Room:
    """The empty room: x from `left` to `right`, back wall at depth `back`, metres.

    `wall` is the id of the back wall.
    """

    left: float
    right: float
    back: float
    height: float
    wall: int

    def on_back(self, outline: np.ndarray) -> np.ndarray:
        """Put an (x, up) outline on the back wall."""
        return np.column_stack([outline, np.full(len(outline), self.back - 0.01)])


def empty_room(canvas: Canvas, *, one_wall: bool = False) -> Room:
    """Paint floor, ceiling and walls; with `one_wall` the three walls are one entity."""
    rng = canvas.rng
    back = float(rng.uniform(4.4, 5.6))
    half = canvas.camera.half_width(back, canvas.width)
    shift = float(rng.uniform(-0.3, 0.3))
    left, right = -half * 0.86 + shift, half * 0.86 + shift
    height = 2.7
    paint: Colour = rgb(int(rng.choice(WALLS)))
    texture = "stripes" if rng.random() < 0.2 else "plaster"
    ceiling = canvas.entity("ceiling-merged")
    walls = [canvas.entity("wall-other-merged") for _ in range(1 if one_wall else 3)]
    *side_walls, wall = walls * 3 if one_wall else walls
    wooden = bool(rng.random() < 0.7)
    floor = canvas.entity("floor-wood" if wooden else "floor-other-merged", ground=True)
    near = 0.45
    canvas.ids[:] = wall  # for the slivers that no face of the shell covers by half

    def level(y: float) -> np.ndarray:
        return lay(np.array([(left, near), (right, near), (right, back), (left, back)]), y)

    canvas.paint(
        Face(
            ceiling,
            [level(height)],
            rgb(0xF4F1EA),
            (0.0, -1.0, 0.0),
            texture="plaster",
            strength=0.3,
            gradient=0.0,
            glow=0.6,
        )
    )
    wood = rgb(int(rng.choice(FLOORS if wooden else TILES)))
    canvas.paint(
        Face(
            floor,
            [level(0.0)],
            wood,
            UPWARDS,
            texture="planks" if wooden else "paving",
            gradient=0.0,
        )
    )
    for x, normal, entity in ((left, 1.0, side_walls[0]), (right, -1.0, side_walls[1])):
        corners = np.array([(x, 0, near), (x, 0, back), (x, height, back), (x, height, near)])
        canvas.paint(Face(entity, [corners], paint, (normal, 0.0, 0.0), texture=texture))
        skirting = np.array([(x, 0, near), (x, 0, back), (x, 0.1, back), (x, 0.1, near)])
        canvas.paint(Face(0, [skirting], rgb(0xEFEAE0), (normal, 0.0, 0.0)))
    room = Room(left, right, back, height, wall)
    canvas.paint(
        Face(
            wall,
            [room.on_back(rectangle(left, 0, right, height))],
            mix(paint, (1, 1, 1), 0.06),
            texture=texture,
            gradient=0.06,
        )
    )
    canvas.paint(Face(0, [room.on_back(rectangle(left, 0, right, 0.1))], rgb(0xEFEAE0)))
    return room


def dress_wall(
    canvas: Canvas, room: Room, spans: list[tuple[float, float]], *, doors: bool = True
) -> None:
    """Hang a window, a door or pictures into free spans (x from, to) of the back wall."""
    rng = canvas.rng
    normal = (0.0, 0.0, -1.0)
    choices = ["window", "door", "picture"] if doors else ["window", "picture", "picture"]
    wants = rng.permutation(choices).tolist()
    if "window" not in wants[: len(spans)] and rng.random() < 0.7:
        wants.insert(0, "window")
    for (start, stop), want in zip(spans, wants, strict=False):
        width = stop - start
        if want == "window" and width > 1.1:
            wide = min(width * 0.62, rng.uniform(1.1, 1.9))
            left = (start + stop - wide) / 2
            low, high = rng.uniform(0.9, 1.05), rng.uniform(1.05, 1.3)
            for face in window(canvas, room.on_back, normal, left, low, wide, high):
                canvas.paint(face)
            if not canvas.light.lamps:
                _sunbeam(canvas, room, left, low, wide, high)
            if rng.random() < 0.75:
                for face in curtains(canvas, room.on_back, normal, left, low, wide, high):
                    canvas.paint(face)
        elif want == "door" and width > 1.0:
            left = start + (width - 0.9) * rng.uniform(0.2, 0.8)
            for face in door(canvas, room.on_back, normal, left):
                canvas.paint(face)
        else:
            wide, high = min(rng.uniform(0.6, 1.0), width * 0.8), rng.uniform(0.5, 0.75)
            left, low = (start + stop - wide) / 2, rng.uniform(1.35, 1.5)
            for face in picture(canvas, room.wall, room.on_back, normal, left, low, wide, high):
                canvas.paint(face)


def _sunbeam(canvas: Canvas, room: Room, left: float, low: float, wide: float, high: float) -> None:
    """Light that falls through a window onto the floor."""
    lean = float(canvas.rng.uniform(-0.5, 0.5))
    panes = []
    for start in (0.0, 0.52):
        pane = rectangle(left + start * wide, low, left + (start + 0.48) * wide, low + high)
        x = pane[:, 0] + lean * pane[:, 1]
        z = room.back - 0.95 * pane[:, 1]
        panes.append(np.column_stack([x, np.full(4, 0.005), z]))
    canvas.paint(Face(0, panes, (1.0, 0.93, 0.76), UPWARDS, glow=1.0, alpha=0.16, casts=False))
