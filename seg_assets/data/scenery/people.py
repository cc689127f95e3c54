"""People, dressed and on their way, and an umbrella to hold."""

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.light import mix, rgb
from seg_assets.data.scenery.shapes import blob, ellipse, limb, smooth, stand

SKIN = (0xF1C9A5, 0xE0AC84, 0xC68A5F, 0x9A6440, 0x6B432B)
HAIR = (0x2A201C, 0x4A3326, 0x7A5433, 0xB98B4E, 0x9C9790, 0x8C3B22)
TOPS = (
    0xD6453D,
    0x2F6FB5,
    0xF0B429,
    0x3B8F6B,
    0xE8E4DA,
    0x7B4B94,
    0x23304A,
    0xE07B39,
    0x4FA8B8,
    0xB23A5E,
)
LEGS = (0x2C3E5C, 0x3A3A3F, 0x8A7B66, 0x5B6B7B, 0x6B4A3A, 0xC9BFA8)
UMBRELLAS = (0xD93636, 0xF2B632, 0x2D7DB3, 0x3F9C79, 0xE9E4D8, 0x8A4FA0)


def person(canvas: Canvas, x: float, z: float, height: float | None = None) -> list[Face]:
    """A person on foot; the outline is in shares of the height."""
    rng = canvas.rng
    height = height or float(rng.uniform(1.58, 1.88))
    whole = canvas.entity("person")
    legs, top, head = canvas.part(whole), canvas.part(whole), canvas.part(whole)
    skin, hair = rgb(int(rng.choice(SKIN))), rgb(int(rng.choice(HAIR)))
    shirt, trousers = rgb(int(rng.choice(TOPS))), rgb(int(rng.choice(LEGS)))
    shoe = mix(trousers, rgb(0x2A2320), 0.7)
    flip, walking = bool(rng.random() < 0.5), bool(rng.random() < 0.7)
    dress = bool(rng.random() < 0.3)
    stride = rng.uniform(0.07, 0.13) if walking else 0.035
    faces: list[Face] = []

    def add(entity, outlines, colour, **options):
        points = [stand(o, x, z, scale=height, flip=flip) for o in outlines]
        options = {"bulge": 0.75, "column": True, "gradient": 0.05} | options
        faces.append(Face(entity, points, colour, **options))

    hip, shoulder = 0.5, 0.8
    lower = skin if dress else trousers
    knee = 0.27
    for sign, tone in ((-1, 0.22), (1, 0.0)):
        foot = sign * stride
        bent = foot * 0.55 + (0.015 if walking else 0.0)
        lift = 0.02 if walking and sign < 0 else 0.0
        add(
            legs,
            [
                limb(sign * 0.03, hip, bent, knee, 0.052, 0.036),
                limb(bent, knee, foot, 0.045 + lift, 0.036, 0.024),
            ],
            mix(lower, (0, 0, 0), tone),
        )
        add(
            legs,
            [
                smooth(
                    np.array(
                        [
                            (foot - 0.03, lift),
                            (foot + 0.085, lift),
                            (foot + 0.07, 0.03 + lift),
                            (foot + 0.0, 0.055 + lift),
                            (foot - 0.03, 0.045 + lift),
                        ]
                    ),
                    1,
                )
            ],
            shoe,
            bulge=0.4,
        )
    swing = stride * 0.9
    add(
        top,
        [
            limb(-0.06, shoulder - 0.02, -0.1 - swing * 0.2, 0.62, 0.032, 0.026),
            limb(-0.1 - swing * 0.2, 0.62, -0.085 + swing * 0.5, 0.5, 0.026, 0.022),
        ],
        mix(shirt, (0, 0, 0), 0.25),
    )
    if dress:
        add(
            top,
            [
                smooth(
                    np.array(
                        [
                            (-0.085, 0.83),
                            (0.085, 0.83),
                            (0.08, 0.62),
                            (0.15, 0.33),
                            (-0.15, 0.33),
                            (-0.08, 0.62),
                        ]
                    ),
                    2,
                )
            ],
            shirt,
        )
    else:
        add(
            top,
            [
                smooth(
                    np.array(
                        [
                            (-0.10, 0.84),
                            (-0.03, 0.86),
                            (0.03, 0.86),
                            (0.10, 0.84),
                            (0.1, 0.68),
                            (0.095, 0.47),
                            (-0.095, 0.47),
                            (-0.1, 0.68),
                        ]
                    ),
                    2,
                )
            ],
            shirt,
        )
    if rng.random() < 0.35:
        add(
            top,
            [smooth(np.array([(-0.145, 0.82), (-0.06, 0.83), (-0.055, 0.58), (-0.14, 0.58)]), 2)],
            rgb(int(rng.choice(UMBRELLAS))),
        )
    add(
        top,
        [
            limb(0.07, shoulder - 0.02, 0.1 + swing * 0.1, 0.63, 0.034, 0.027),
            limb(0.1 + swing * 0.1, 0.63, 0.1 + swing, 0.5, 0.027, 0.022),
        ],
        mix(shirt, (1, 1, 1), 0.06),
    )
    add(top, [ellipse(0.1 + swing * 1.05, 0.475, 0.02, 0.028, 12)], skin)
    add(head, [limb(0, 0.84, 0, 0.88, 0.03, 0.03)], mix(skin, (0, 0, 0), 0.2))
    long_hair = bool(rng.random() < 0.45)
    if long_hair:
        add(
            head,
            [
                smooth(
                    np.array(
                        [(-0.075, 0.98), (0.04, 0.99), (0.045, 0.85), (-0.02, 0.8), (-0.09, 0.82)]
                    ),
                    2,
                )
            ],
            mix(hair, (0, 0, 0), 0.2),
        )
    add(head, [ellipse(0.006, 0.93, 0.054, 0.066, 20)], skin, column=False)
    add(
        head,
        [
            smooth(
                np.array(
                    [
                        (-0.066, 0.9),
                        (-0.068, 0.97),
                        (-0.03, 1.005),
                        (0.03, 1.0),
                        (0.066, 0.965),
                        (0.05, 0.955),
                        (0.01, 0.965),
                        (-0.025, 0.945),
                        (-0.035, 0.895),
                    ]
                ),
                2,
            )
        ],
        hair,
        column=False,
    )
    if rng.random() < 0.18:
        hat = rgb(int(rng.choice(UMBRELLAS)))
        add(
            head,
            [
                smooth(
                    np.array(
                        [(-0.066, 0.955), (0.066, 0.955), (0.055, 1.02), (0, 1.035), (-0.055, 1.02)]
                    ),
                    2,
                ),
                np.array([(0.0, 0.955), (0.11, 0.95), (0.11, 0.965), (0.0, 0.972)]),
            ],
            hat,
        )
    return faces


def umbrella(
    canvas: Canvas, x: float, z: float, *, top: float = 2.25, spread: float = 0.85, foot=1.0
) -> list[Face]:
    """An open umbrella or parasol: a ribbed dome on a stick, in two colours."""
    rng = canvas.rng
    whole = canvas.entity("umbrella")
    first = rgb(int(rng.choice(UMBRELLAS)))
    second = mix(first, (1, 1, 1), 0.55) if rng.random() < 0.6 else mix(first, (0, 0, 0), 0.12)
    rise = spread * 0.62
    rim = top - rise
    faces = [
        Face(
            whole,
            [stand(np.array([(-0.02, foot), (0.02, foot), (0.02, top), (-0.02, top)]), x, z)],
            rgb(0x5A4A40),
            bulge=0.8,
            column=True,
        )
    ]
    ribs = np.linspace(-1, 1, 7)
    angle = np.linspace(0, np.pi / 2, 7)
    for i in range(6):
        edges = []
        for rib in (ribs[i], ribs[i + 1]):
            edges.append(
                np.column_stack([rib * spread * np.sin(angle), rim + rise * np.cos(angle)])
            )
        scallop = np.array([((ribs[i] + ribs[i + 1]) / 2 * spread, rim + 0.07 * spread)])
        panel = np.concatenate([edges[0], scallop, edges[1][::-1]])
        lean = float((ribs[i] + ribs[i + 1]) / 2)
        normal = np.array([lean * 0.8, 0.55, -0.6])
        normal = normal / np.linalg.norm(normal)
        faces.append(
            Face(
                whole,
                [stand(panel, x, z)],
                first if i % 2 else second,
                (float(normal[0]), float(normal[1]), float(normal[2])),
                gradient=0.1,
            )
        )
    return faces


def ball(canvas: Canvas, x: float, z: float, radius: float) -> list[Face]:
    """A ball with a coloured band."""
    rng = canvas.rng
    whole = canvas.entity("sports ball")
    colour = rgb(int(rng.choice(TOPS)))
    swoop = smooth(
        np.array([(-0.5, 0.9), (0.2, 1.25), (0.85, 1.1), (0.9, 0.95), (0.2, 0.95), (-0.55, 0.6)]), 2
    )
    return [
        Face(whole, [stand(ellipse(0, 1, 1, 1, 30), x, z, scale=radius)], colour, bulge=0.95),
        Face(
            whole,
            [stand(swoop, x, z, scale=radius)],
            mix(colour, (1, 1, 1), 0.8),
            bulge=0.6,
            alpha=0.85,
            casts=False,
        ),
        Face(
            0,
            [stand(blob(rng, -0.3, 1.42, 0.2, 0.14, rough=0.02), x, z, scale=radius)],
            (1, 1, 1),
            alpha=0.35,
            glow=0.6,
            casts=False,
        ),
    ]
