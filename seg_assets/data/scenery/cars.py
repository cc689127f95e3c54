"""Cars at any heading."""

from dataclasses import dataclass

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.light import rgb
from seg_assets.data.scenery.shapes import ellipse, rectangle, rounded
from seg_assets.data.scenery.solids import Pose, extrude

PAINTS = (
    0xC8342B,
    0x2D6BB0,
    0xEDEDEA,
    0x2B2E35,
    0xE3A72F,
    0x3E7F5E,
    0x9FA6AD,
    0x7C2F3E,
    0x59A5C4,
    0xD9662C,
)
GLASS = rgb(0x2C3A46)
TYRE = rgb(0x1D1D20)


@dataclass(frozen=True)
class CarShape:
    """Outlines (along, up) in metres of a car that drives towards positive `along`.

    `body` and `cabin` run counter-clockwise; `windows` lie on the cabin's side.
    """

    body: tuple[tuple[float, float], ...]
    cabin: tuple[tuple[float, float], ...]
    windows: tuple[tuple[tuple[float, float], ...], ...]


SEDAN = CarShape(
    body=(
        (-2.2, 0.30),
        (2.15, 0.28),
        (2.25, 0.55),
        (2.15, 0.74),
        (1.05, 0.90),
        (-1.6, 0.93),
        (-2.2, 0.88),
        (-2.28, 0.6),
    ),
    cabin=((-1.75, 0.88), (1.15, 0.86), (0.35, 1.40), (-1.05, 1.43)),
    windows=(
        ((-1.45, 0.92), (-0.38, 0.92), (-0.38, 1.33), (-0.98, 1.34)),
        ((-0.26, 0.92), (0.86, 0.92), (0.26, 1.32), (-0.26, 1.33)),
    ),
)
HATCHBACK = CarShape(
    body=(
        (-1.85, 0.32),
        (1.85, 0.30),
        (1.95, 0.6),
        (1.82, 0.82),
        (0.95, 0.97),
        (-1.75, 1.0),
        (-1.92, 0.9),
        (-1.95, 0.6),
    ),
    cabin=((-1.82, 0.95), (1.05, 0.94), (0.3, 1.52), (-1.45, 1.54)),
    windows=(
        ((-1.55, 1.0), (-0.42, 1.0), (-0.42, 1.44), (-1.32, 1.45)),
        ((-0.3, 1.0), (0.78, 1.0), (0.22, 1.43), (-0.3, 1.44)),
    ),
)
WAGON = CarShape(
    body=(
        (-2.25, 0.36),
        (2.2, 0.34),
        (2.3, 0.65),
        (2.2, 0.92),
        (1.15, 1.06),
        (-2.2, 1.08),
        (-2.32, 0.7),
    ),
    cabin=((-2.22, 1.03), (1.25, 1.02), (0.6, 1.66), (-1.95, 1.68)),
    windows=(
        ((-1.98, 1.1), (-1.05, 1.1), (-1.05, 1.57), (-1.82, 1.58)),
        ((-0.93, 1.1), (-0.08, 1.1), (-0.08, 1.57), (-0.93, 1.57)),
        ((0.04, 1.1), (0.98, 1.1), (0.52, 1.55), (0.04, 1.57)),
    ),
)


def car(canvas: Canvas, x: float, z: float, heading: float) -> list[Face]:
    """A car; heading 0 drives to the right, pi / 2 away from the viewer."""
    rng, camera = canvas.rng, canvas.camera
    shape = (SEDAN, HATCHBACK, WAGON)[int(rng.integers(3))]
    whole = canvas.entity("car")
    glass, tyre = canvas.part(whole), canvas.part(whole)
    paint = rgb(int(rng.choice(PAINTS)))
    pose = Pose(x, z, heading)
    half = 0.88
    body = np.array(shape.body)
    cabin = np.array(shape.cabin)
    front, rear = body[:, 0].max(), body[:, 0].min()
    axles = (rear + 0.85, front - 0.82)

    faces = underside(pose, axles, half, tyre)
    faces += extrude(camera, pose, body, half, whole, paint, gradient=0.12, mirror=0.10)
    faces += _ends(canvas, pose, front, rear, half, whole)
    roof = cabin[:, 1].max()
    widths = np.where(cabin[:, 1] > roof - 0.2, half * 0.76, half * 0.94).tolist()
    faces += extrude(camera, pose, cabin, widths, whole, paint, gradient=0.06, mirror=0.12)
    faces += _glass(canvas, pose, cabin, half, glass)
    for sign in (-1.0, 1.0):
        if not pose.sees_side(camera, sign * half):
            continue
        normal = pose.side_normal(sign)
        for window in shape.windows:
            points = _lean(pose, np.array(window), sign, cabin, half)
            faces.append(Face(glass, [points], GLASS, normal, gradient=0.0, mirror=0.5))
        door = float(np.mean([w[0] for w in shape.windows[-1]])) - 0.5
        line = rectangle(door, 0.42, door + 0.025, 0.9)
        faces.append(
            Face(
                0,
                [pose.side(line, sign * (half + 0.005))],
                (0, 0, 0),
                normal,
                alpha=0.3,
                casts=False,
            )
        )
        faces += wheels(pose, axles, 0.335, sign, half, tyre)
    return faces


def _lean(
    pose: Pose, outline: np.ndarray, sign: float, cabin: np.ndarray, half: float
) -> np.ndarray:
    """Put an outline on the cabin's side, which leans inwards towards the roof."""
    low, high = cabin[:, 1].min(), cabin[:, 1].max()
    share = np.clip((outline[:, 1] - low) / (high - low), 0, 1)
    across = sign * (half * (0.94 + (0.76 - 0.94) * share) + 0.006)
    return pose.world(np.column_stack([outline, across]))


def underside(pose: Pose, axles: tuple[float, float], half: float, entity: int) -> list[Face]:
    """Tyres under the car, as they are seen from the front or the back."""
    faces = [
        Face(
            entity,
            [pose.end(rectangle(across - 0.12, 0, across + 0.12, 0.5), along)],
            TYRE,
            gradient=0.0,
        )
        for along in axles
        for across in (-half + 0.14, half - 0.14)
    ]
    return sorted(faces, key=lambda face: -float(face.outlines[0][:, 2].mean()))


def _glass(canvas: Canvas, pose: Pose, cabin: np.ndarray, half: float, entity: int) -> list[Face]:
    """Windscreen and rear window, inset into the cabin's sloping ends."""
    camera = canvas.camera
    rear_low, front_low, front_high, rear_high = cabin
    faces = []
    for low, high, sign in ((rear_low, rear_high, -1.0), (front_low, front_high, 1.0)):
        if not pose.sees_end(camera, float(low[0])):
            continue
        foot, head = low + 0.14 * (high - low), low + 0.9 * (high - low)
        corners = np.array(
            [
                (foot[0], foot[1], -half * 0.82),
                (foot[0], foot[1], half * 0.82),
                (head[0], head[1], half * 0.68),
                (head[0], head[1], -half * 0.68),
            ]
        )
        corners[:, 0] += sign * 0.012
        faces.append(
            Face(
                entity,
                [pose.world(corners)],
                GLASS,
                pose.end_normal(sign),
                gradient=0.0,
                mirror=0.55,
            )
        )
    return faces


def _ends(
    canvas: Canvas, pose: Pose, front: float, rear: float, half: float, whole: int
) -> list[Face]:
    """Lights, bumper and plate of the end that is seen."""
    faces: list[Face] = []
    shining = 0.75 if canvas.light.lamps else 0.3
    for along, colour, sign in (
        (front - 0.04, rgb(0xFFF3CF), 1.0),
        (rear + 0.04, rgb(0xD8241F), -1.0),
    ):
        if not pose.sees_end(canvas.camera, along):
            continue
        normal = pose.end_normal(sign)
        plane = along + sign * 0.06
        bumper = rounded(-half * 0.96, 0.3, half * 0.96, 0.48, 0.06)
        plate = rectangle(-0.26, 0.42, 0.26, 0.54)
        lamps = [
            rounded(
                side * half * 0.92 - (0.34 if side > 0 else 0),
                0.6,
                side * half * 0.92 + (0 if side > 0 else 0.34),
                0.75,
                0.06,
            )
            for side in (-1, 1)
        ]
        faces.append(Face(whole, [pose.end(bumper, plane)], rgb(0x26282C), normal, casts=False))
        faces.append(Face(whole, [pose.end(plate, plane)], rgb(0xECEAE0), normal, casts=False))
        if sign > 0:
            grille = rounded(-0.42, 0.56, 0.42, 0.7, 0.05)
            faces.append(Face(whole, [pose.end(grille, plane)], rgb(0x1F2226), normal, casts=False))
        faces.append(
            Face(
                whole,
                [pose.end(lamp, plane) for lamp in lamps],
                colour,
                normal,
                glow=shining,
                casts=False,
            )
        )
    return faces


def wheels(
    pose: Pose, axles: tuple[float, ...], radius: float, sign: float, half: float, entity: int
) -> list[Face]:
    """Wheels on one side: arch, tyre, rim, hub."""
    normal = pose.side_normal(sign)
    faces = []
    for scale, colour, out in (
        (1.16, rgb(0x141416), 0.004),
        (1.0, TYRE, 0.012),
        (0.64, rgb(0xB9BEC4), 0.018),
        (0.5, rgb(0x6D737A), 0.02),
        (0.2, rgb(0xD9DDE0), 0.024),
    ):
        outlines = []
        for along in axles:
            circle = ellipse(along, radius, radius * scale, radius * scale, 22)
            if scale > 1:  # the arch ends at the sill
                circle[:, 1] = np.maximum(circle[:, 1], 0.3)
            outlines.append(pose.side(circle, sign * (half + out)))
        faces.append(Face(entity, outlines, colour, normal, casts=scale == 1.0))
    return faces
