"""Buses at any heading, and sailing boats."""

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.cars import GLASS, PAINTS, underside, wheels
from seg_assets.data.scenery.light import Colour, mix, rgb
from seg_assets.data.scenery.shapes import ellipse, rectangle, rounded, smooth, stand
from seg_assets.data.scenery.solids import Pose, extrude

BUS_PAINTS = (0xC93A2E, 0xE2A12B, 0x2F7D6B, 0x2F66A6)


def bus(canvas: Canvas, x: float, z: float, heading: float) -> list[Face]:
    """A city bus with a window band and a coloured skirt."""
    rng, camera = canvas.rng, canvas.camera
    whole = canvas.entity("bus")
    glass, tyre = canvas.part(whole), canvas.part(whole)
    paint = rgb(int(rng.choice(BUS_PAINTS)))
    pose = Pose(x, z, heading)
    length, half, roof = 8.6, 1.22, 3.0
    end = length / 2
    body = np.array(
        [
            (-end, 0.35),
            (end, 0.35),
            (end + 0.06, 1.2),
            (end - 0.08, roof - 0.12),
            (end - 0.3, roof),
            (-end + 0.2, roof),
            (-end, roof - 0.15),
        ]
    )
    axles = (-end + 1.7, end - 2.0)
    faces = underside(pose, axles, half, tyre)
    faces += extrude(camera, pose, body, half, whole, paint, gradient=0.08, mirror=0.08)
    for sign in (-1.0, 1.0):
        if not pose.sees_side(camera, sign * half):
            continue
        normal = pose.side_normal(sign)
        panes = [
            pose.side(rounded(a + 0.06, 1.45, a + 1.16, 2.5, 0.1), sign * (half + 0.01))
            for a in np.arange(-end + 0.35, end - 1.4, 1.22)
        ]
        stripe = rectangle(-end + 0.02, 0.95, end - 0.02, 1.15)
        doors = [
            pose.side(rounded(a, 0.5, a + 0.95, 2.55, 0.08), sign * (half + 0.012))
            for a in (end - 1.25, -0.6)
        ]
        faces.append(
            Face(
                whole,
                [pose.side(stripe, sign * (half + 0.008))],
                rgb(0xF2EEE4),
                normal,
                casts=False,
            )
        )
        faces.append(Face(glass, panes, GLASS, normal, gradient=0.0, mirror=0.5))
        if sign < 0:
            faces.append(Face(glass, doors, mix(GLASS, (1, 1, 1), 0.12), normal, mirror=0.4))
        faces += wheels(pose, axles, 0.46, sign, half, tyre)
    for along, sign in ((end, 1.0), (-end, -1.0)):
        if not pose.sees_end(camera, along):
            continue
        normal = pose.end_normal(sign)
        plane = along + sign * 0.07
        screen = rounded(-half * 0.88, 1.25, half * 0.88, 2.45, 0.14)
        sign_board = rounded(-half * 0.7, 2.55, half * 0.7, 2.85, 0.06)
        lamps = [ellipse(side * half * 0.74, 0.72, 0.15, 0.12, 16) for side in (-1, 1)]
        faces.append(Face(glass, [pose.end(screen, plane)], GLASS, normal, gradient=0, mirror=0.5))
        faces.append(Face(whole, [pose.end(sign_board, plane)], rgb(0x1E2126), normal))
        faces.append(
            Face(
                0,
                [pose.end(rectangle(-0.5, 2.63, 0.5, 2.77), plane)],
                rgb(0xFFC24A),
                normal,
                glow=0.8,
                casts=False,
            )
        )
        lamp_colour = rgb(0xFFF3CF) if sign > 0 else rgb(0xD8241F)
        faces.append(
            Face(
                whole,
                [pose.end(o, plane) for o in lamps],
                lamp_colour,
                normal,
                glow=0.4,
                casts=False,
            )
        )
    return faces


def boat(canvas: Canvas, x: float, z: float, size: float = 1.0) -> list[Face]:
    """A sailing boat on the water."""
    rng = canvas.rng
    whole = canvas.entity("boat")
    hull, sails = canvas.part(whole), canvas.part(whole)
    colour: Colour = rgb(int(rng.choice(PAINTS)))
    sail = mix(rgb(int(rng.choice(BUS_PAINTS))), (1, 1, 1), float(rng.choice([0.9, 0.9, 0.25])))
    flip = bool(rng.random() < 0.5)

    def upright(points) -> np.ndarray:
        return stand(np.asarray(points), x, z, scale=size, flip=flip)

    mast = [(-0.06, 0.8), (0.06, 0.8), (0.04, 7.2), (-0.04, 7.2)]
    main_sail = smooth(np.array([(-0.15, 1.5), (-0.15, 7.0), (-0.9, 4.6), (-2.6, 1.6)]), 1)
    jib = smooth(np.array([(0.18, 6.4), (0.2, 1.6), (2.5, 1.3), (1.2, 3.6)]), 1)
    body = smooth(
        np.array([(-3.0, 0.95), (3.5, 1.15), (2.5, 0.1), (1.8, -0.1), (-2.4, -0.1), (-2.8, 0.3)]), 2
    )
    return [
        Face(whole, [upright(mast)], rgb(0x6B5644), bulge=0.8, column=True),
        Face(sails, [upright(main_sail), upright(jib)], sail, bulge=0.4, gradient=0.06),
        Face(hull, [upright(body)], colour, bulge=0.4, gradient=0.22),
        Face(
            hull,
            [upright([(-3.0, 0.95), (3.45, 1.15), (3.4, 0.98), (-2.95, 0.78)])],
            rgb(0xF3EFE4),
            casts=False,
        ),
    ]
