"""Buildings along a street and houses in the open."""

from collections.abc import Callable

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.light import Colour, mix, rgb
from seg_assets.data.scenery.shapes import rectangle, rounded
from seg_assets.data.scenery.solids import Pose, box, extrude

WALLS = (
    0xC9B79C,
    0xB5674A,
    0xD8CDB8,
    0x8E9AA6,
    0xC98F6B,
    0xA8B3A0,
    0xDDBE8A,
    0x9C5C4C,
    0xB7C4CC,
    0xE0D3C4,
)
ROOFS = (0x8C4A38, 0x5B5F66, 0x7A5A48, 0x3F4A56)
AWNINGS = (0xB93A32, 0x2F7D6B, 0xE0A43A, 0x2F66A6)
PANE = rgb(0x39495A)
Normal = tuple[float, float, float]
Place = Callable[[np.ndarray], np.ndarray]  # puts an (along, up) outline on a wall


def _windows(
    canvas: Canvas,
    place: Place,
    normal: Normal,
    length: float,
    low: float,
    high: float,
    frame: Colour,
) -> list[Face]:
    """Rows of windows on a wall; `place(outline)` puts an (along, up) outline on the wall."""
    rng = canvas.rng
    pitch = rng.uniform(2.3, 3.2)
    storey = rng.uniform(2.9, 3.4)
    wide, tall = pitch * rng.uniform(0.42, 0.6), storey * rng.uniform(0.48, 0.62)
    columns = max(int(length // pitch), 1)
    rows = max(int((high - low) // storey), 0)
    margin = (length - columns * pitch) / 2
    frames, dark, shining, sills = [], [], [], []
    for row in range(rows):
        foot = low + row * storey + (storey - tall) / 2
        for column in range(columns):
            left = margin + column * pitch + (pitch - wide) / 2
            frames.append(
                place(rectangle(left - 0.1, foot - 0.1, left + wide + 0.1, foot + tall + 0.1))
            )
            sills.append(place(rectangle(left - 0.18, foot - 0.2, left + wide + 0.18, foot - 0.08)))
            panes = shining if canvas.light.lamps and rng.random() < 0.5 else dark
            for start in (0.0, 0.52):
                panes.append(
                    place(
                        rectangle(
                            left + start * wide, foot, left + (start + 0.48) * wide, foot + tall
                        )
                    )
                )
    faces = []
    if frames:
        faces.append(Face(0, frames, frame, normal, casts=False))
        faces.append(Face(0, sills, mix(frame, (0, 0, 0), 0.25), normal, casts=False))
    if dark:
        faces.append(Face(0, dark, PANE, normal, gradient=0.05, mirror=0.45, casts=False))
    if shining:
        faces.append(Face(0, shining, rgb(0xFFD27A), normal, glow=0.95, casts=False))
    return faces


def _shop(canvas: Canvas, whole: int, place: Place, normal: Normal, length: float) -> list[Face]:
    """A shop front with glass, a door and a striped awning."""
    rng = canvas.rng
    colour = rgb(int(rng.choice(AWNINGS)))
    glow = 0.85 if canvas.light.lamps else 0.0
    shown = rgb(0xFFDDA0) if canvas.light.lamps else mix(PANE, (1, 1, 1), 0.15)
    door = rng.uniform(0.3, 0.6) * length
    panes = [rectangle(0.5, 0.55, door - 0.3, 2.5), rectangle(door + 1.5, 0.55, length - 0.5, 2.5)]
    stripes = [rectangle(a, 2.62, a + 0.45, 3.15) for a in np.arange(0.3, length - 0.7, 0.9)]
    return [
        Face(
            0,
            [place(rectangle(0.2, 0.0, length - 0.2, 3.2))],
            mix(colour, (0, 0, 0), 0.55),
            normal,
            casts=False,
        ),
        Face(
            0,
            [place(o) for o in panes if o[1, 0] > o[0, 0] + 0.4],
            shown,
            normal,
            glow=glow,
            mirror=0.0 if glow else 0.4,
            casts=False,
        ),
        Face(
            0,
            [place(rounded(door, 0.02, door + 1.15, 2.45, 0.05))],
            mix(shown, colour, 0.45),
            normal,
            glow=glow * 0.6,
            casts=False,
        ),
        Face(whole, [place(rectangle(0.2, 2.6, length - 0.2, 3.2))], colour, normal, casts=False),
        Face(0, [place(o) for o in stripes], mix(colour, (1, 1, 1), 0.85), normal, casts=False),
    ]


def block(
    canvas: Canvas, x0: float, x1: float, z0: float, z1: float, height: float, *, shops: bool = True
) -> list[Face]:
    """A town building on a rectangle of ground; windows on the walls that are seen."""
    rng = canvas.rng
    whole = canvas.entity("building-other-merged")
    wall = rgb(int(rng.choice(WALLS)))
    texture = "bricks" if rng.random() < 0.4 else "plaster"
    trim = mix(wall, (1, 1, 1), 0.55)
    shop = shops and rng.random() < 0.55
    low = 3.3 if shop else 0.9
    faces: list[Face] = []
    sides: list[tuple[np.ndarray, np.ndarray, tuple[float, float, float]]] = []
    if x0 > 0:
        sides.append((np.array([x0, 0, z1]), np.array([x0, 0, z0]), (-1.0, 0.0, 0.0)))
    if x1 < 0:
        sides.append((np.array([x1, 0, z0]), np.array([x1, 0, z1]), (1.0, 0.0, 0.0)))
    sides.append((np.array([x0, 0, z0]), np.array([x1, 0, z0]), (0.0, 0.0, -1.0)))
    for start, stop, normal in sides:
        length = float(np.linalg.norm(stop - start))
        ahead = (stop - start) / length
        out = np.asarray(normal) * 0.03

        def place(outline: np.ndarray, start=start, ahead=ahead, out=out) -> np.ndarray:
            points = start + outline[:, :1] * ahead + out
            points[:, 1] = outline[:, 1]
            return points

        faces.append(
            Face(
                whole,
                [place(rectangle(0, 0, length, height))],
                wall,
                normal,
                texture=texture,
                gradient=0.05,
            )
        )
        faces += _windows(canvas, place, normal, length, low, height - 0.6, trim)
        faces.append(
            Face(
                whole,
                [place(rectangle(-0.15, height - 0.45, length + 0.15, height + 0.1))],
                trim,
                normal,
                casts=False,
            )
        )
        if shop:
            faces += _shop(canvas, whole, place, normal, length)
        else:
            faces.append(
                Face(
                    0,
                    [place(rectangle(0, 0, length, 0.6))],
                    mix(wall, (0, 0, 0), 0.35),
                    normal,
                    casts=False,
                )
            )
            door = length * rng.uniform(0.3, 0.6)
            faces.append(
                Face(
                    0,
                    [place(rectangle(door, 0, door + 1.1, 2.3))],
                    rgb(0x5B4032),
                    normal,
                    casts=False,
                )
            )
    return faces


def house(canvas: Canvas, x: float, z: float, heading: float, size: float = 1.0) -> list[Face]:
    """A country house with a pitched roof, a door, windows and a chimney."""
    rng, camera = canvas.rng, canvas.camera
    whole = canvas.entity("house")
    roof = canvas.part(whole)
    wall = mix(rgb(int(rng.choice(WALLS))), (1, 1, 1), 0.3)
    tiles = rgb(int(rng.choice(ROOFS)))
    pose = Pose(x, z, heading)
    length, depth, eaves, top = 8.0 * size, 6.0 * size, 3.0 * size, 5.6 * size
    half = depth / 2
    faces = box(camera, pose, length, eaves, depth, whole, wall, texture="plaster")
    # the gable ends, then the roof planes that lean on them
    for sign in (-1.0, 1.0):
        if pose.sees_end(camera, sign * length / 2):
            gable = np.array([(-half, eaves), (half, eaves), (0, top)])
            faces.append(
                Face(
                    whole,
                    [pose.end(gable, sign * length / 2)],
                    wall,
                    pose.end_normal(sign),
                    texture="plaster",
                )
            )
    for sign in (-1.0, 1.0):
        if not pose.sees_side(camera, sign * half):
            continue
        normal = pose.side_normal(sign)

        def place(outline: np.ndarray, sign=sign) -> np.ndarray:
            along = (outline[:, 0] - length / 2) * (1 if sign < 0 else -1)
            return pose.side(np.column_stack([along, outline[:, 1]]), sign * (half + 0.03))

        glow = 0.95 if canvas.light.lamps else 0.0
        pane = rgb(0xFFD27A) if glow else PANE
        windows = [
            rectangle(a, 1.0 * size, a + 1.3 * size, 2.3 * size) for a in (0.8 * size, 5.7 * size)
        ]
        frames = [
            w + np.array([(-0.12, -0.12), (0.12, -0.12), (0.12, 0.12), (-0.12, 0.12)])
            for w in windows
        ]
        door = rectangle(3.4 * size, 0, 4.6 * size, 2.3 * size)
        faces += [
            Face(0, [place(f) for f in frames], rgb(0xF4EFE6), normal, casts=False),
            Face(
                0,
                [place(w) for w in windows],
                pane,
                normal,
                glow=glow,
                mirror=0.4 - 0.4 * glow,
                casts=False,
            ),
            Face(0, [place(door)], rgb(int(rng.choice(AWNINGS))), normal, casts=False),
        ]
        over = 0.35 * size
        slope = pose.world(
            np.array(
                [
                    (-length / 2 - over, eaves - 0.3 * size, sign * (half + over)),
                    (length / 2 + over, eaves - 0.3 * size, sign * (half + over)),
                    (length / 2 + over, top, 0.0),
                    (-length / 2 - over, top, 0.0),
                ]
            )
        )
        rise = np.array([normal[0] * 0.65, 0.76, normal[2] * 0.65])
        faces.append(
            Face(
                roof,
                [slope],
                tiles,
                (float(rise[0]), float(rise[1]), float(rise[2])),
                gradient=0.08,
            )
        )
    chimney = np.array(
        [
            (-0.4, top - 1.2 * size),
            (0.4, top - 1.2 * size),
            (0.4, top + 0.7 * size),
            (-0.4, top + 0.7 * size),
        ]
    ) * (1.0, 1.0) + (length * 0.25, 0)
    return extrude(camera, pose, chimney, 0.4, roof, mix(tiles, (0, 0, 0), 0.2)) + faces
