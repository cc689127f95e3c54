"""Smaller things of a room: plants, lamps, television, vase; windows, curtains, doors, pictures."""

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.furniture import ACCENTS, CLOTHS, WOODS, choose
from seg_assets.data.scenery.light import mix, rgb
from seg_assets.data.scenery.shapes import blob, ellipse, limb, rectangle, ridge, smooth, stand
from seg_assets.data.scenery.solids import Pose, box

Normal = tuple[float, float, float]


def potted_plant(canvas: Canvas, x: float, z: float, height: float, base: float = 0.0) -> list[Face]:
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
            leaf_y = rim + reach * np.sin(turn) * share + 0.1 * np.sin(np.pi * share) - (
                0.10 * share**2)
            broad = 0.075 * np.sin(np.pi * np.clip(share, 0.02, 1)) ** 0.8
            side_x, side_y = -np.sin(turn) * broad, np.cos(turn) * broad
            outlines.append(upright(np.concatenate(
                [np.column_stack([leaf_x + side_x, leaf_y + side_y]),
                 np.column_stack([leaf_x - side_x, leaf_y - side_y])[::-1]])))
        colour = mix(green, (0, 0, 0) if tone < 0 else (0.95, 1.0, 0.6), abs(tone))
        faces.append(Face(leaves, outlines, colour, bulge=0.5, texture="leaves", strength=0.4,
                          gradient=0.12))
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
    outline = np.array([(-wide * 1.2, height - 0.36), (wide * 1.2, height - 0.36),
                        (wide * 0.75, height), (-wide * 0.75, height)])
    if on:
        spot = canvas.camera.project(np.array([[x, base + height - 0.2, z]]))[0]
        canvas.shine(float(spot[0]), float(spot[1]), canvas.short_side * 0.42, (1.0, 0.78, 0.46),
                     0.42)
    return [
        Face(whole, [stand(o, x, z, base=base) for o in
                     (ellipse(0, 0.025, 0.17, 0.03, 20), rectangle(-0.018, 0, 0.018, height - 0.3))],
             metal, bulge=0.6, column=True),
        Face(whole, [stand(outline, x, z, base=base)], shade, bulge=0.7, column=True,
             glow=0.95 if on else 0.1, gradient=-0.08),
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
    hill = ridge(rng, -wide / 2 + 0.025, wide / 2 - 0.025, foot + high * 0.3, foot + high * 0.6,
                 foot + 0.03, count=5)
    disc = ellipse(wide * 0.2, foot + high * 0.72, 0.06, 0.06, 16)
    faces += [
        Face(0, [stand(inner, x, near)], choose(rng, (0x6FB6DC, 0xE89A5B, 0x8A7BC0)), glow=0.8,
             gradient=-0.15, casts=False),
        Face(0, [stand(disc, x, near)], rgb(0xFFF1C4), glow=0.9, casts=False),
        Face(0, [stand(hill, x, near)], choose(rng, (0x3F7A5A, 0x4A5A7A, 0x6E4A55)), glow=0.7,
             casts=False),
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
    body = smooth(np.array([(-0.1, 0), (0.1, 0), (0.2, 0.22), (0.09, 0.42), (0.12, 0.5),
                            (-0.12, 0.5), (-0.09, 0.42), (-0.2, 0.22)]), 2)
    return [
        Face(whole, [upright(limb(0, 0.45, dx, dy, 0.016, 0.012)) for dx, dy in heads],
             rgb(0x4F7A3F)),
        Face(whole, [upright(blob(rng, dx, dy, 0.12, 0.11, rough=0.2)) for dx, dy in heads], bloom,
             bulge=0.5),
        Face(whole, [upright(ellipse(dx, dy, 0.035, 0.035, 10)) for dx, dy in heads],
             rgb(0x8A5A2B), casts=False),
        Face(whole, [upright(body)], colour, bulge=0.9, gradient=0.06),
    ]


def window(
    canvas: Canvas, place, normal: Normal, left: float, low: float, wide: float, high: float
) -> list[Face]:
    """A window in a wall; `place(outline)` puts an (along, up) outline on the wall."""
    rng = canvas.rng
    whole = canvas.entity("window-other")
    glow = 0.9
    frame = rgb(0xF3EFE8)
    sky = rectangle(left, low, left + wide, low + high)
    hill = ridge(rng, left, left + wide, low + high * 0.12, low + high * 0.42, low, count=5)
    bars = [rectangle(left + wide / 2 - 0.025, low, left + wide / 2 + 0.025, low + high),
            rectangle(left, low + high * 0.62, left + wide, low + high * 0.62 + 0.04)]
    dark = canvas.light.lamps
    return [
        Face(whole, [place(rectangle(left - 0.09, low - 0.09, left + wide + 0.09,
                                     low + high + 0.09))], frame, normal, casts=False),
        Face(whole, [place(sky)], mix(canvas.light.zenith, canvas.light.horizon, 0.45), normal,
             glow=glow, gradient=-0.1, casts=False),
        Face(whole, [place(hill)], rgb(0x2A3550) if dark else rgb(0x86A878), normal, glow=0.7,
             casts=False),
        Face(whole, [place(o) for o in bars], frame, normal, casts=False),
        Face(whole, [place(rectangle(left - 0.14, low - 0.14, left + wide + 0.14, low - 0.06))],
             mix(frame, (0, 0, 0), 0.12), normal, casts=False),
    ]


def curtains(
    canvas: Canvas, place, normal: Normal, left: float, low: float, wide: float, high: float
) -> list[Face]:
    """A pair of curtains with folds at the sides of a window."""
    rng = canvas.rng
    colour = choose(rng, CLOTHS + ACCENTS)
    top, foot = low + high + 0.22, max(low - 0.55, 0.05)
    broad = wide * rng.uniform(0.24, 0.34)
    faces: list[Face] = []
    for start in (left - broad * 0.75, left + wide - broad * 0.25):
        entity = canvas.entity("curtain")
        folds = 5
        pitch = broad / folds
        faces.append(Face(entity, [place(rectangle(start, foot, start + broad, top))], colour,
                          normal, gradient=0.05, casts=False))
        strips = [place(rectangle(start + (i + 0.55) * pitch, foot, start + (i + 1) * pitch, top))
                  for i in range(folds)]
        faces.append(Face(0, strips, mix(colour, (0, 0, 0), 0.3), normal, alpha=0.6, casts=False))
        glints = [place(rectangle(start + (i + 0.15) * pitch, foot, start + (i + 0.35) * pitch,
                                  top)) for i in range(folds)]
        faces.append(Face(0, glints, mix(colour, (1, 1, 1), 0.3), normal, alpha=0.5, casts=False))
    rod = rectangle(left - broad, top - 0.02, left + wide + broad, top + 0.025)
    return [*faces, Face(0, [place(rod)], rgb(0x4A3E36), normal, casts=False)]


def door(canvas: Canvas, place, normal: Normal, left: float) -> list[Face]:
    """A panelled door with a handle."""
    whole = canvas.entity("door-stuff")
    colour = choose(canvas.rng, WOODS)
    panels = [rectangle(left + a, b, left + a + 0.28, b + h) for a in (0.1, 0.5)
              for b, h in ((0.2, 0.7), (1.1, 0.75))]
    return [
        Face(whole, [place(rectangle(left - 0.08, 0, left + 0.96, 2.12))],
             mix(colour, (1, 1, 1), 0.45), normal, casts=False),
        Face(whole, [place(rectangle(left, 0, left + 0.88, 2.04))], colour, normal, casts=False),
        Face(whole, [place(p) for p in panels], mix(colour, (0, 0, 0), 0.2), normal, casts=False),
        Face(whole, [place(ellipse(left + 0.8, 1.02, 0.04, 0.035, 12))], rgb(0xD6B45A), normal,
             glow=0.2, casts=False),
    ]


def picture(
    canvas: Canvas, wall: int, place, normal: Normal, left: float, low: float, wide: float,
    high: float,
) -> list[Face]:
    """A framed landscape; it is a part of its wall."""
    rng = canvas.rng
    part = canvas.part(wall)
    frame = choose(rng, WOODS)
    rim = 0.05
    inner = rectangle(left + rim, low + rim, left + wide - rim, low + high - rim)
    hills = ridge(rng, left + rim, left + wide - rim, low + high * 0.3, low + high * 0.65,
                  low + rim, count=5)
    front = ridge(rng, left + rim, left + wide - rim, low + high * 0.15, low + high * 0.4,
                  low + rim, count=5)
    return [
        Face(part, [place(rectangle(left, low, left + wide, low + high))], frame, normal,
             casts=False),
        Face(part, [place(inner)], mix(choose(rng, ACCENTS), (1, 1, 1), 0.45), normal,
             gradient=-0.1, casts=False),
        Face(part, [place(hills)], choose(rng, CLOTHS), normal, casts=False),
        Face(part, [place(front)], choose(rng, ACCENTS), normal, casts=False),
    ]
