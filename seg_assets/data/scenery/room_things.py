"""Smaller things of a room: plants, lamps, televisions, vases."""

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.furniture import ACCENTS, choose
from seg_assets.data.scenery.light import mix, rgb
from seg_assets.data.scenery.shapes import blob, ellipse, limb, rectangle, ridge, smooth, stand
from seg_assets.data.scenery.solids import Pose, box

Normal = tuple[float, float, float]


def potted_plant(canvas: Canvas, x: float, z: float, height: float, base=0.0) -> list[Face]:
    """A plant with broad leaves in a pot."""
    rng = canvas.rng
    whole = canvas.entity("potted plant")
    leaves, pot = canvas.part(whole), canvas.part(whole)
    green = mix(rgb(0x3F7A45), rgb(0x6E9A3F), rng.uniform())
    clay = choose(rng, (0xC4744A, 0xE9E2D6, 0x4A5560, 0xB99A6B))
    rim = 0.33

    def upright(outline) -> np.ndarray:
        return stand(outline, x, z, scale=height, base=base)

    faces: list[Face] = []
    for layer, tone in enumerate((-0.3, -0.1, 0.1)):
        outlines = []
        for turn in np.linspace(0.12, np.pi - 0.12, 6) + rng.uniform(-0.15, 0.15, 6):
            reach = rng.uniform(0.4, 0.6) * (0.75 + 0.35 * np.sin(turn)) * (1 - 0.12 * layer)
            share = np.linspace(0, 1, 9)
            leaf_x = reach * np.cos(turn) * share
            leaf_y = (
                rim + reach * np.sin(turn) * share + 0.1 * np.sin(np.pi * share) - (0.10 * share**2)
            )
            broad = 0.075 * np.sin(np.pi * np.clip(share, 0.02, 1)) ** 0.8
            side_x, side_y = -np.sin(turn) * broad, np.cos(turn) * broad
            outlines.append(
                upright(
                    np.concatenate(
                        [
                            np.column_stack([leaf_x + side_x, leaf_y + side_y]),
                            np.column_stack([leaf_x - side_x, leaf_y - side_y])[::-1],
                        ]
                    )
                )
            )
        colour = mix(green, (0, 0, 0) if tone < 0 else (0.95, 1.0, 0.6), abs(tone))
        faces.append(
            Face(leaves, outlines, colour, bulge=0.5, texture="leaves", strength=0.4, gradient=0.12)
        )
    body = smooth(np.array([(-0.18, rim), (0.18, rim), (0.135, 0.0), (-0.135, 0.0)]), 1)
    lip = rectangle(-0.195, rim - 0.035, 0.195, rim + 0.015)
    faces.append(Face(pot, [upright(body)], clay, bulge=0.9, column=True, gradient=0.06))
    faces.append(Face(pot, [upright(lip)], mix(clay, (1, 1, 1), 0.12), bulge=0.9, column=True))
    return faces


def floor_lamp(canvas: Canvas, x: float, z: float, height: float = 1.6, base=0.0) -> list[Face]:
    """A lamp with a cloth shade; it shines in the evening."""
    whole = canvas.entity("light")
    on = canvas.light.lamps
    shade = rgb(0xFFE3AE) if on else rgb(0xEDE3D0)
    metal = rgb(0x3B3632)
    wide = 0.2 if height > 1 else 0.16
    outline = np.array(
        [
            (-wide * 1.2, height - 0.36),
            (wide * 1.2, height - 0.36),
            (wide * 0.75, height),
            (-wide * 0.75, height),
        ]
    )
    if on:
        spot = canvas.camera.project(np.array([[x, base + height - 0.2, z]]))[0]
        canvas.shine(
            float(spot[0]), float(spot[1]), canvas.short_side * 0.42, (1.0, 0.78, 0.46), 0.42
        )
    return [
        Face(
            whole,
            [
                stand(ellipse(0, 0.025, 0.17, 0.03, 20), x, z, base=base),
                stand(rectangle(-0.018, 0, 0.018, height - 0.3), x, z, base=base),
            ],
            metal,
            bulge=0.6,
            column=True,
        ),
        Face(
            whole,
            [stand(outline, x, z, base=base)],
            shade,
            bulge=0.7,
            column=True,
            glow=0.95 if on else 0.1,
            gradient=-0.08,
        ),
    ]


def television(canvas: Canvas, x: float, z: float, base: float, wide: float = 1.15) -> list[Face]:
    """A flat television on a foot, off or showing a landscape."""
    rng = canvas.rng
    whole = canvas.entity("tv")
    high = wide * 0.58
    frame = rgb(0x17181B)
    foot = base + 0.07

    def upright(outline) -> np.ndarray:
        return stand(outline, x, z)

    faces = [
        *box(canvas.camera, Pose(x, z), wide * 0.4, 0.025, 0.2, whole, frame, base=base),
        Face(whole, [upright(rectangle(-0.05, base, 0.05, foot + 0.1))], frame),
        *box(canvas.camera, Pose(x, z), wide, high, 0.05, whole, frame, base=foot),
    ]
    inner = rectangle(-wide / 2 + 0.025, foot + 0.03, wide / 2 - 0.025, foot + high - 0.025)
    near = z - 0.028
    if rng.random() < 0.5:
        faces.append(Face(0, [stand(inner, x, near)], rgb(0x1F2A36), mirror=0.3, casts=False))
        return faces
    hill = ridge(
        rng,
        -wide / 2 + 0.025,
        wide / 2 - 0.025,
        foot + high * 0.3,
        foot + high * 0.6,
        foot + 0.03,
        count=5,
    )
    disc = ellipse(wide * 0.2, foot + high * 0.72, 0.06, 0.06, 16)
    faces += [
        Face(
            0,
            [stand(inner, x, near)],
            choose(rng, (0x6FB6DC, 0xE89A5B, 0x8A7BC0)),
            glow=0.8,
            gradient=-0.15,
            casts=False,
        ),
        Face(0, [stand(disc, x, near)], rgb(0xFFF1C4), glow=0.9, casts=False),
        Face(
            0,
            [stand(hill, x, near)],
            choose(rng, (0x3F7A5A, 0x4A5A7A, 0x6E4A55)),
            glow=0.7,
            casts=False,
        ),
    ]
    return faces


def vase(canvas: Canvas, x: float, z: float, base: float, height: float = 0.5) -> list[Face]:
    """A vase with flowers."""
    rng = canvas.rng
    whole = canvas.entity("vase")
    colour, bloom = choose(rng, ACCENTS), choose(rng, (0xE35D6A, 0xF2C14E, 0xF4EDE4, 0xB77BD0))

    def upright(outline) -> np.ndarray:
        return stand(outline, x, z, scale=height, base=base)

    heads = [(dx, 0.8 + rng.uniform(-0.08, 0.12)) for dx in (-0.24, -0.08, 0.1, 0.26)]
    body = smooth(
        np.array(
            [
                (-0.1, 0),
                (0.1, 0),
                (0.2, 0.22),
                (0.09, 0.42),
                (0.12, 0.5),
                (-0.12, 0.5),
                (-0.09, 0.42),
                (-0.2, 0.22),
            ]
        ),
        2,
    )
    return [
        Face(
            whole, [upright(limb(0, 0.45, dx, dy, 0.016, 0.012)) for dx, dy in heads], rgb(0x4F7A3F)
        ),
        Face(
            whole,
            [upright(blob(rng, dx, dy, 0.12, 0.11, rough=0.2)) for dx, dy in heads],
            bloom,
            bulge=0.5,
        ),
        Face(
            whole,
            [upright(ellipse(dx, dy, 0.035, 0.035, 10)) for dx, dy in heads],
            rgb(0x8A5A2B),
            casts=False,
        ),
        Face(whole, [upright(body)], colour, bulge=0.9, gradient=0.06),
    ]
