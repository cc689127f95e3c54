"""What a wall carries: windows, curtains, doors, pictures.

Each function takes `place(outline)`, which puts an (along, up) outline in metres on the wall.
"""

from collections.abc import Callable

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.furniture import ACCENTS, CLOTHS, WOODS, choose
from seg_assets.data.scenery.light import mix, rgb
from seg_assets.data.scenery.shapes import ellipse, rectangle, ridge

Normal = tuple[float, float, float]
Place = Callable[[np.ndarray], np.ndarray]


def window(
    canvas: Canvas, place: Place, normal: Normal, left: float, low: float, wide: float, high: float
) -> list[Face]:
    """A window in a wall; `place(outline)` puts an (along, up) outline on the wall."""
    rng = canvas.rng
    whole = canvas.entity("window-other")
    glow = 0.9
    frame = rgb(0xF3EFE8)
    sky = rectangle(left, low, left + wide, low + high)
    hill = ridge(rng, left, left + wide, low + high * 0.12, low + high * 0.42, low, count=5)
    bars = [
        rectangle(left + wide / 2 - 0.025, low, left + wide / 2 + 0.025, low + high),
        rectangle(left, low + high * 0.62, left + wide, low + high * 0.62 + 0.04),
    ]
    dark = canvas.light.lamps
    return [
        Face(
            whole,
            [place(rectangle(left - 0.09, low - 0.09, left + wide + 0.09, low + high + 0.09))],
            frame,
            normal,
            casts=False,
        ),
        Face(
            whole,
            [place(sky)],
            mix(canvas.light.zenith, canvas.light.horizon, 0.45),
            normal,
            glow=glow,
            gradient=-0.1,
            casts=False,
        ),
        Face(
            whole,
            [place(hill)],
            rgb(0x2A3550) if dark else rgb(0x86A878),
            normal,
            glow=0.7,
            casts=False,
        ),
        Face(whole, [place(o) for o in bars], frame, normal, casts=False),
        Face(
            whole,
            [place(rectangle(left - 0.14, low - 0.14, left + wide + 0.14, low - 0.06))],
            mix(frame, (0, 0, 0), 0.12),
            normal,
            casts=False,
        ),
    ]


def curtains(
    canvas: Canvas, place: Place, normal: Normal, left: float, low: float, wide: float, high: float
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
        faces.append(
            Face(
                entity,
                [place(rectangle(start, foot, start + broad, top))],
                colour,
                normal,
                gradient=0.05,
                casts=False,
            )
        )
        strips = [
            place(rectangle(start + (i + 0.55) * pitch, foot, start + (i + 1) * pitch, top))
            for i in range(folds)
        ]
        faces.append(Face(0, strips, mix(colour, (0, 0, 0), 0.3), normal, alpha=0.6, casts=False))
        glints = [
            place(rectangle(start + (i + 0.15) * pitch, foot, start + (i + 0.35) * pitch, top))
            for i in range(folds)
        ]
        faces.append(Face(0, glints, mix(colour, (1, 1, 1), 0.3), normal, alpha=0.5, casts=False))
    rod = rectangle(left - broad, top - 0.02, left + wide + broad, top + 0.025)
    return [*faces, Face(0, [place(rod)], rgb(0x4A3E36), normal, casts=False)]


def door(canvas: Canvas, place: Place, normal: Normal, left: float) -> list[Face]:
    """A panelled door with a handle."""
    whole = canvas.entity("door-stuff")
    colour = choose(canvas.rng, WOODS)
    panels = [
        rectangle(left + a, b, left + a + 0.28, b + h)
        for a in (0.1, 0.5)
        for b, h in ((0.2, 0.7), (1.1, 0.75))
    ]
    return [
        Face(
            whole,
            [place(rectangle(left - 0.08, 0, left + 0.96, 2.12))],
            mix(colour, (1, 1, 1), 0.45),
            normal,
            casts=False,
        ),
        Face(whole, [place(rectangle(left, 0, left + 0.88, 2.04))], colour, normal, casts=False),
        Face(whole, [place(p) for p in panels], mix(colour, (0, 0, 0), 0.2), normal, casts=False),
        Face(
            whole,
            [place(ellipse(left + 0.8, 1.02, 0.04, 0.035, 12))],
            rgb(0xD6B45A),
            normal,
            glow=0.2,
            casts=False,
        ),
    ]


def picture(
    canvas: Canvas,
    wall: int,
    place: Place,
    normal: Normal,
    left: float,
    low: float,
    wide: float,
    high: float,
) -> list[Face]:
    """A framed landscape; it is a part of its wall."""
    rng = canvas.rng
    part = canvas.part(wall)
    frame = choose(rng, WOODS)
    rim = 0.05
    inner = rectangle(left + rim, low + rim, left + wide - rim, low + high - rim)
    hills = ridge(
        rng, left + rim, left + wide - rim, low + high * 0.3, low + high * 0.65, low + rim, count=5
    )
    front = ridge(
        rng, left + rim, left + wide - rim, low + high * 0.15, low + high * 0.4, low + rim, count=5
    )
    return [
        Face(
            part, [place(rectangle(left, low, left + wide, low + high))], frame, normal, casts=False
        ),
        Face(
            part,
            [place(inner)],
            mix(choose(rng, ACCENTS), (1, 1, 1), 0.45),
            normal,
            gradient=-0.1,
            casts=False,
        ),
        Face(part, [place(hills)], choose(rng, CLOTHS), normal, casts=False),
        Face(part, [place(front)], choose(rng, ACCENTS), normal, casts=False),
    ]
