"""Trees, bushes and level ground."""

import numpy as np

from seg_assets.data.scenery.canvas import UPWARDS, Canvas, Face
from seg_assets.data.scenery.light import Colour, mix, rgb
from seg_assets.data.scenery.shapes import blob, lay, limb, smooth, stand

FAR = 260.0  # metres: where level ground ends
LEAF_COLOURS = (0x4F8A3C, 0x5E9440, 0x3F7A42, 0x6F9A3A, 0x86A045)
GRASS = (0x6E9A41, 0x7FA548, 0x5F8F45, 0x93A24C)
AUTUMN_COLOURS = (0xC98A2E, 0xB8622B, 0xD9A93A, 0xA84C32)


def level(
    entity: int,
    x0: float,
    x1: float,
    z0: float,
    z1: float,
    colour: Colour,
    texture: str,
    *,
    height: float = 0.0,
    strength: float = 1.0,
) -> Face:
    """A level rectangle of ground."""
    corners = np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)])
    return Face(
        entity,
        [lay(corners, height)],
        colour,
        UPWARDS,
        texture=texture,
        strength=strength,
        gradient=0.0,
        casts=False,
    )


def paint_lawn(canvas: Canvas) -> None:
    """Cover all ground with grass."""
    grass = canvas.entity("grass-merged", ground=True)
    colour = rgb(int(canvas.rng.choice(GRASS)))
    canvas.paint(level(grass, -FAR, FAR, 0.5, FAR, colour, "grass"))


def season(rng: np.random.Generator) -> tuple[int, ...]:
    """Leaf colours that belong together in one scene."""
    return AUTUMN_COLOURS if rng.random() < 0.16 else LEAF_COLOURS


def tree(
    canvas: Canvas, x: float, z: float, height: float, leaves: tuple[int, ...] = LEAF_COLOURS
) -> list[Face]:
    """A tree of a random kind: round crown, tall crown, poplar or fir."""
    kind = canvas.rng.choice(["round", "tall", "fir", "poplar"], p=[0.5, 0.22, 0.18, 0.1])
    if kind == "fir":
        return fir(canvas, x, z, height * 1.1)
    wide, low = {"round": (0.36, 0.3), "tall": (0.27, 0.26), "poplar": (0.14, 0.12)}[kind]
    return _leafy(canvas, x, z, height, wide, low, rgb(int(canvas.rng.choice(leaves))))


def _leafy(
    canvas: Canvas, x: float, z: float, height: float, wide: float, low: float, colour: Colour
) -> list[Face]:
    """A trunk with branches under a crown of leaf clusters, in shares of the height."""
    rng = canvas.rng
    whole = canvas.entity("tree-merged")
    crown, trunk = canvas.part(whole), canvas.part(whole)
    bark = mix(rgb(0x6B4F3A), rgb(0x8A7A6A), rng.uniform())
    girth = 0.028 + 0.03 * wide
    wood = [
        smooth(
            np.array(
                [
                    (-girth * 1.7, 0),
                    (girth * 1.7, 0),
                    (girth, 0.06),
                    (girth * 0.7, 0.55),
                    (-girth * 0.7, 0.55),
                    (-girth, 0.06),
                ]
            ),
            1,
        ),
        limb(0, 0.24, -wide * 0.55, 0.5, girth * 0.6, girth * 0.25),
        limb(0, 0.3, wide * 0.55, 0.55, girth * 0.6, girth * 0.25),
    ]
    middle = (1 + low) / 2
    half = (1 - low) / 2
    clusters = [blob(rng, 0, middle, wide * 0.82, half * 0.86, rough=0.05, count=22)]
    angle = np.linspace(0, 2 * np.pi, 9, endpoint=False) + rng.uniform(0, 1)
    for turn in angle:
        cx = wide * 0.66 * np.cos(turn) * rng.uniform(0.85, 1.1)
        cy = middle + half * 0.66 * np.sin(turn) * rng.uniform(0.9, 1.1)
        size = rng.uniform(0.34, 0.46)
        clusters.append(blob(rng, cx, cy, wide * size, half * size, rough=0.1))
    faces = [
        Face(
            trunk,
            [stand(o, x, z, scale=height) for o in wood],
            bark,
            bulge=0.9,
            column=True,
            texture="leaves",
            strength=0.5,
        ),
        Face(
            crown,
            [stand(o, x, z, scale=height) for o in clusters],
            mix(colour, (0, 0, 0), 0.12),
            bulge=0.85,
            texture="leaves",
            strength=1.3,
            gradient=0.12,
        ),
    ]
    # lit tufts on top of the mass, more and brighter towards the sun; they stay inside the crown
    side = float(np.sign(canvas.light.sun[0]))
    for step in range(3):
        tufts = []
        for _ in range(6):
            turn, reach = rng.uniform(0, 2 * np.pi), 0.72 * np.sqrt(rng.uniform(0, 1))
            cx = wide * reach * np.cos(turn) + side * wide * 0.07 * step
            cy = middle + half * reach * np.sin(turn) + half * 0.10 * step
            size = rng.uniform(0.16, 0.26)
            tufts.append(
                stand(blob(rng, cx, cy, wide * size, half * size, rough=0.22), x, z, scale=height)
            )
        tone = mix(colour, (1.0, 0.95, 0.6), 0.05 + 0.07 * step)
        faces.append(
            Face(
                crown,
                tufts,
                tone,
                bulge=0.8,
                texture="leaves",
                strength=1.2,
                gradient=0.1,
                alpha=0.55,
                casts=False,
            )
        )
    return faces


def fir(canvas: Canvas, x: float, z: float, height: float) -> list[Face]:
    """A fir: tiers of drooping branches."""
    rng = canvas.rng
    whole = canvas.entity("tree-merged")
    crown, trunk = canvas.part(whole), canvas.part(whole)
    colour = mix(rgb(0x2F5D46), rgb(0x3F6E3E), rng.uniform())
    faces = [
        Face(
            trunk,
            [
                stand(
                    np.array([(-0.025, 0), (0.025, 0), (0.02, 0.2), (-0.02, 0.2)]),
                    x,
                    z,
                    scale=height,
                )
            ],
            rgb(0x5B4434),
            bulge=0.9,
            column=True,
        )
    ]
    tiers = 6
    for step in range(tiers):
        foot = 0.1 + 0.145 * step
        top = min(foot + 0.30, 1.0)
        reach = 0.235 * (1 - step / tiers) ** 0.85 + 0.02
        teeth = 9
        along = np.linspace(-1, 1, teeth)
        droop = foot + 0.05 * (1 - along**2) + np.where(np.arange(teeth) % 2, 0.022, -0.012)
        droop = droop + rng.uniform(-0.008, 0.008, teeth)
        outline = np.concatenate(
            [
                np.column_stack([along * reach, droop]),
                [(reach * 0.18, top - 0.03), (0, top), (-reach * 0.18, top - 0.03)],
            ]
        )
        tone = mix(colour, (0.85, 0.95, 0.6), 0.03 * step)
        faces.append(
            Face(
                crown,
                [stand(outline, x, z, scale=height)],
                tone,
                bulge=0.8,
                column=True,
                texture="leaves",
                strength=1.2,
                gradient=0.22,
            )
        )
    return faces


def bush(canvas: Canvas, x: float, z: float, height: float, colour: Colour) -> list[Face]:
    """A low bush of a few clusters (COCO counts it among the trees)."""
    rng = canvas.rng
    whole = canvas.entity("tree-merged")
    clusters = [
        blob(rng, dx, 0.42 + rng.uniform(-0.05, 0.12), 0.5, 0.45, rough=0.12)
        for dx in (-0.45, 0.0, 0.45)
    ]
    tufts = [
        blob(rng, rng.uniform(-0.6, 0.6), rng.uniform(0.45, 0.7), 0.2, 0.14, rough=0.25)
        for _ in range(7)
    ]
    return [
        Face(
            whole,
            [stand(o, x, z, scale=height) for o in clusters],
            colour,
            bulge=0.85,
            texture="leaves",
            strength=1.3,
            gradient=0.18,
        ),
        Face(
            whole,
            [stand(o, x, z, scale=height) for o in tufts],
            mix(colour, (1.0, 0.95, 0.6), 0.14),
            bulge=0.7,
            texture="leaves",
            alpha=0.6,
            casts=False,
        ),
    ]


def palm(canvas: Canvas, x: float, z: float, height: float) -> list[Face]:
    """A palm with a bent trunk and arched fronds."""
    rng = canvas.rng
    whole = canvas.entity("tree-merged")
    crown, trunk = canvas.part(whole), canvas.part(whole)
    bend = rng.uniform(0.08, 0.22) * rng.choice([-1, 1])
    rise = np.linspace(0, 0.82, 9)
    middle = bend * (rise / 0.82) ** 2
    girth = 0.034 - 0.016 * rise
    stem = np.concatenate(
        [np.column_stack([middle - girth, rise]), np.column_stack([middle + girth, rise])[::-1]]
    )
    faces = [
        Face(
            trunk,
            [stand(stem, x, z, scale=height)],
            rgb(0x9A7B58),
            bulge=0.8,
            column=True,
            texture="leaves",
            strength=0.6,
        )
    ]
    green = mix(rgb(0x3F8048), rgb(0x6A9440), rng.uniform())
    for layer, tone in ((0, 0.0), (1, 0.12)):
        fronds = []
        for turn in np.linspace(-0.3, np.pi + 0.3, 7) + 0.22 * layer:
            reach = rng.uniform(0.26, 0.36)
            share = np.linspace(0, 1, 8)
            fx = bend + reach * np.cos(turn) * share
            fy = 0.82 + reach * (0.8 * np.sin(turn) + 0.42) * share - 0.8 * reach * share**2
            broad = 0.028 * np.sin(np.pi * np.clip(share * 0.92 + 0.05, 0, 1))
            fronds.append(
                np.concatenate(
                    [np.column_stack([fx, fy + broad]), np.column_stack([fx, fy - broad])[::-1]]
                )
            )
        faces.append(
            Face(
                crown,
                [stand(o, x, z, scale=height) for o in fronds],
                mix(green, (0.9, 0.95, 0.5), tone),
                bulge=0.6,
                texture="leaves",
                gradient=0.15,
            )
        )
    return faces
