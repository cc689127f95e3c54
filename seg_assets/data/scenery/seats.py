"""Couches with pillows, and chairs."""

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.furniture import ACCENTS, CLOTHS, WOODS, choose
from seg_assets.data.scenery.light import Colour, mix, rgb
from seg_assets.data.scenery.shapes import rounded
from seg_assets.data.scenery.solids import Pose, box, extrude


def _cushion(
    canvas: Canvas,
    pose: Pose,
    outline: np.ndarray,
    across: float,
    half: float,
    entity: int,
    colour: Colour,
) -> list[Face]:
    """A soft block: a rounded outline drawn out by `half` round `across`."""
    x, _, z = pose.world(np.array([[0.0, 0.0, across]]))[0]
    moved = Pose(float(x), float(z), pose.heading, pose.base)
    return extrude(
        canvas.camera,
        moved,
        outline,
        half,
        entity,
        colour,
        texture="cloth",
        bulge=0.0,
        gradient=0.08,
    )


def couch(
    canvas: Canvas, x: float, z: float, heading: float = 0.0, *, seats: int = 2
) -> list[Face]:
    """A couch or an armchair (one seat); its front faces the viewer at heading 0."""
    rng = canvas.rng
    whole = canvas.entity("couch")
    colour = choose(rng, CLOTHS)
    shade, pale = mix(colour, (0, 0, 0), 0.1), mix(colour, (1, 1, 1), 0.07)
    pose = Pose(x, z, heading)
    half = 0.36 * seats + (0.12 if seats == 1 else 0.0)
    high = float(rng.uniform(0.84, 0.95))
    legs: list[Face] = []
    for along in (-half - 0.1, half + 0.1):
        legs += box(canvas.camera, pose, 0.07, 0.12, 0.6, whole, rgb(0x3A2C24), along=along)
    body = _cushion(canvas, pose, rounded(-half, 0.12, half, 0.34, 0.05), 0.0, 0.42, whole, shade)
    back: list[Face] = []
    seat: list[Face] = []
    wide = 2 * half / seats
    for place in range(seats):
        left = -half + place * wide
        back += _cushion(
            canvas,
            pose,
            rounded(left, 0.3, left + wide - 0.015, high, 0.13),
            0.34,
            0.13,
            whole,
            colour,
        )
        seat += _cushion(
            canvas,
            pose,
            rounded(left, 0.33, left + wide - 0.015, 0.5, 0.07),
            -0.08,
            0.36,
            whole,
            pale,
        )
    arms = {
        sign: _cushion(
            canvas,
            pose,
            rounded(
                min(sign * half, sign * (half + 0.2)),
                0.1,
                max(sign * half, sign * (half + 0.2)),
                0.66,
                0.09,
            ),
            0.0,
            0.45,
            whole,
            colour,
        )
        for sign in (-1.0, 1.0)
    }
    # the arm that is farther from the eye goes behind the seat
    ends = pose.world(np.array([[-half, 0.0, 0.0], [half, 0.0, 0.0]]))
    reach = np.hypot(ends[:, 0], ends[:, 2])
    near = -1.0 if reach[0] < reach[1] else 1.0
    faces = [*legs, *body, *back, *arms[-near], *seat, *arms[near]]
    if seats > 1 and rng.random() < 0.8:
        for side in rng.choice([-1.0, 1.0], size=int(rng.integers(1, 3)), replace=False):
            faces += pillow(canvas, pose, float(side) * half * 0.62)
    return faces


def pillow(canvas: Canvas, pose: Pose, along: float) -> list[Face]:
    """A pillow that leans against the back of a couch."""
    rng = canvas.rng
    entity = canvas.entity("pillow")
    colour = choose(rng, ACCENTS)
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    # a square with slightly hollow sides
    grip = 0.23 / np.maximum(np.abs(np.cos(turn)), np.abs(np.sin(turn))) ** 0.8
    tilt = rng.uniform(-0.25, 0.25)
    outline = np.column_stack(
        [along + grip * np.cos(turn + tilt), 0.72 + grip * 0.95 * np.sin(turn + tilt)]
    )
    return [
        Face(
            entity,
            [pose.side(outline, 0.13)],
            colour,
            pose.side_normal(-1.0),
            bulge=0.7,
            texture="cloth",
            strength=0.7,
            gradient=0.08,
        )
    ]


def chair(canvas: Canvas, x: float, z: float, heading: float = 0.0) -> list[Face]:
    """A chair; at heading 0 it faces the viewer, at pi its back is towards the viewer."""
    rng, camera = canvas.rng, canvas.camera
    whole = canvas.entity("chair")
    wood, seat_colour = choose(rng, WOODS), choose(rng, CLOTHS)
    pose = Pose(x, z, heading)
    parts: list[tuple[float, list[Face]]] = []

    def add(across: float, along: float, faces: list[Face]) -> None:
        at = pose.world(np.array([[along, 0.0, across]]))[0]
        parts.append((float(np.hypot(at[0], at[2])), faces))

    for across in (-0.18, 0.18):
        for along in (-0.19, 0.19):
            add(
                across,
                along,
                box(camera, pose, 0.05, 0.44, 0.05, whole, wood, along=along, across=across),
            )
    legs = [face for _, faces in sorted(parts, key=lambda p: -p[0]) for face in faces]
    seat = box(camera, pose, 0.46, 0.07, 0.44, whole, seat_colour, base=0.43, texture="cloth")
    back: list[Face] = []
    for along in (-0.19, 0.19):
        back += box(
            camera, pose, 0.05, 0.52, 0.05, whole, wood, along=along, across=0.19, base=0.44
        )
    rest = rounded(-0.22, 0.66, 0.22, 1.0, 0.06)
    at = pose.world(np.array([[0.0, 0.0, 0.19]]))[0]
    back += extrude(
        camera,
        Pose(float(at[0]), float(at[2]), heading),
        rest,
        0.025,
        whole,
        mix(seat_colour, (0, 0, 0), 0.05),
        texture="cloth",
    )
    behind = float(np.cos(heading)) > 0
    return [*legs, *back, *seat] if behind else [*legs, *seat, *back]
