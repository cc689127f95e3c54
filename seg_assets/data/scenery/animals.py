"""Dogs and sheep, seen from the side."""

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.light import mix, rgb
from seg_assets.data.scenery.shapes import blob, ellipse, limb, smooth, stand

COATS = (0xC08A4E, 0x6B4630, 0x3A3230, 0xE3CFA9, 0xA9744A)


def dog(canvas: Canvas, x: float, z: float, length: float = 0.95) -> list[Face]:
    """A dog that stands or trots; the outline is in shares of its length."""
    rng = canvas.rng
    whole = canvas.entity("dog")
    coat = rgb(int(rng.choice(COATS)))
    dark, pale = mix(coat, (0, 0, 0), 0.3), mix(coat, (1, 1, 1), 0.35)
    flip = bool(rng.random() < 0.5)
    trot = rng.uniform(0.0, 0.09)
    faces: list[Face] = []

    def add(outlines, colour, **options):
        points = [stand(o, x, z, scale=length, flip=flip) for o in outlines]
        options = {"bulge": 0.7, "texture": "leaves", "strength": 0.35, "gradient": 0.06} | options
        faces.append(Face(whole, points, colour, **options))

    add(
        [
            limb(-0.27, 0.32, -0.3 + trot, 0.03, 0.06, 0.032),
            limb(0.25, 0.34, 0.24 - trot, 0.03, 0.055, 0.032),
        ],
        dark,
    )
    add([limb(-0.36, 0.5, -0.56, 0.74, 0.045, 0.02)], coat)
    add(
        [
            smooth(
                np.array(
                    [
                        (-0.42, 0.56),
                        (0.0, 0.57),
                        (0.3, 0.62),
                        (0.4, 0.46),
                        (0.3, 0.26),
                        (0.0, 0.3),
                        (-0.3, 0.3),
                        (-0.43, 0.38),
                    ]
                ),
                3,
            )
        ],
        coat,
    )
    add(
        [
            limb(-0.32, 0.38, -0.36 - trot, 0.03, 0.075, 0.034),
            limb(0.3, 0.36, 0.32 + trot, 0.03, 0.06, 0.034),
        ],
        coat,
    )
    add([limb(0.3, 0.5, 0.42, 0.72, 0.1, 0.085)], coat)
    add([ellipse(0.46, 0.77, 0.12, 0.1, 20), limb(0.5, 0.74, 0.64, 0.7, 0.062, 0.045)], coat)
    add([limb(0.55, 0.71, 0.64, 0.69, 0.04, 0.036)], pale, bulge=0.4)
    add([smooth(np.array([(0.36, 0.84), (0.44, 0.85), (0.43, 0.68), (0.36, 0.64)]), 2)], dark)
    add(
        [ellipse(0.67, 0.72, 0.024, 0.022, 12), ellipse(0.51, 0.8, 0.016, 0.018, 10)],
        rgb(0x1A1614),
        texture="",
        bulge=0,
    )
    add([limb(0.335, 0.61, 0.42, 0.57, 0.022, 0.022)], rgb(0xC9302C), texture="", bulge=0)
    return faces


def sheep(canvas: Canvas, x: float, z: float, length: float = 1.35) -> list[Face]:
    """A woolly sheep with a dark or a pale face."""
    rng = canvas.rng
    whole = canvas.entity("sheep")
    wool = mix(rgb(0xF1EADB), rgb(0xD5C7AE), rng.uniform())
    skin = rgb(0x3A322E) if rng.random() < 0.6 else rgb(0xD9B79A)
    flip = bool(rng.random() < 0.5)
    grazing = bool(rng.random() < 0.4)
    head_x, head_y = (0.5, 0.2) if grazing else (0.5, 0.6)

    def upright(outline: np.ndarray) -> np.ndarray:
        return stand(outline, x, z, scale=length, flip=flip)

    legs = [limb(a, 0.25, a + 0.01, 0.02, 0.04, 0.03) for a in (-0.28, -0.14, 0.18, 0.3)]
    turn = np.linspace(0, 2 * np.pi, 13, endpoint=False)
    fleece = [ellipse(0, 0.42, 0.4, 0.22)]
    fleece += [
        blob(rng, 0.36 * np.cos(t), 0.42 + 0.18 * np.sin(t), 0.12, 0.11, rough=0.05) for t in turn
    ]
    neck = [limb(0.32, 0.48, head_x - 0.08, head_y, 0.13, 0.09)]
    curls = [
        blob(rng, rng.uniform(-0.3, 0.3), rng.uniform(0.38, 0.56), 0.08, 0.055, rough=0.1)
        for _ in range(9)
    ]
    head = [
        smooth(
            np.array(
                [
                    (head_x - 0.09, head_y + 0.09),
                    (head_x + 0.05, head_y + 0.08),
                    (head_x + 0.16, head_y - 0.05),
                    (head_x + 0.12, head_y - 0.11),
                    (head_x - 0.05, head_y - 0.09),
                ]
            ),
            2,
        )
    ]
    ear = [limb(head_x - 0.04, head_y + 0.05, head_x - 0.14, head_y + 0.01, 0.03, 0.015)]
    return [
        Face(whole, [upright(o) for o in legs], skin, bulge=0.6, column=True),
        Face(whole, [upright(o) for o in neck], wool, bulge=0.5, texture="leaves", strength=0.5),
        Face(
            whole,
            [upright(o) for o in fleece],
            wool,
            bulge=0.8,
            texture="leaves",
            strength=0.6,
            gradient=0.12,
        ),
        Face(
            whole,
            [upright(o) for o in curls],
            mix(wool, (1, 1, 1), 0.4),
            bulge=0.6,
            alpha=0.5,
            texture="leaves",
            strength=0.4,
            casts=False,
        ),
        Face(whole, [upright(o) for o in head], skin, bulge=0.6),
        Face(whole, [upright(o) for o in ear], mix(skin, (0, 0, 0), 0.2), bulge=0.4),
    ]


def cat(canvas: Canvas, x: float, z: float, height: float = 0.65) -> list[Face]:
    """A sitting cat; the outline is in shares of its height."""
    rng = canvas.rng
    whole = canvas.entity("cat")
    coat = rgb(int(rng.choice((0xD08A45, 0x4A4644, 0xE8E0D2, 0x8C8078))))
    dark, pale = mix(coat, (0, 0, 0), 0.25), mix(coat, (1, 1, 1), 0.45)
    flip = bool(rng.random() < 0.5)
    faces: list[Face] = []

    def add(outlines, colour, **options):
        points = [stand(o, x, z, scale=height, flip=flip) for o in outlines]
        options = {"bulge": 0.7, "texture": "leaves", "strength": 0.3, "gradient": 0.06} | options
        faces.append(Face(whole, points, colour, **options))

    tail = np.linspace(0, 1, 8)
    tail_x, tail_y = -0.2 - 0.32 * tail, 0.05 + 0.3 * tail**2
    add(
        [
            np.concatenate(
                [
                    np.column_stack([tail_x, tail_y + 0.045]),
                    np.column_stack([tail_x, tail_y - 0.045])[::-1],
                ]
            )
        ],
        dark,
    )
    add(
        [
            smooth(
                np.array(
                    [
                        (-0.3, 0.0),
                        (0.2, 0.0),
                        (0.22, 0.4),
                        (0.14, 0.68),
                        (-0.06, 0.68),
                        (-0.26, 0.36),
                    ]
                ),
                3,
            )
        ],
        coat,
    )
    add([limb(0.02, 0.4, 0.04, 0.03, 0.06, 0.045), limb(0.13, 0.4, 0.15, 0.03, 0.06, 0.045)], coat)
    add([smooth(np.array([(0.0, 0.6), (0.14, 0.6), (0.14, 0.36), (0.04, 0.36)]), 2)], pale)
    add(
        [
            np.array([(-0.1, 0.86), (-0.08, 1.02), (0.03, 0.93)]),
            np.array([(0.1, 0.93), (0.22, 1.02), (0.23, 0.86)]),
        ],
        dark,
        bulge=0,
    )
    add([ellipse(0.07, 0.8, 0.18, 0.155, 22)], coat)
    add(
        [ellipse(0.0, 0.82, 0.028, 0.032, 12), ellipse(0.14, 0.82, 0.028, 0.032, 12)],
        rgb(0x3E4A2A),
        texture="",
        bulge=0,
    )
    add([ellipse(0.07, 0.75, 0.022, 0.018, 10)], rgb(0xB46A62), texture="", bulge=0)
    return faces
