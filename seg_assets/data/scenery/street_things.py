"""Things that stand along streets and in parks: signals, signs, lamps, benches, fences."""

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face
from seg_assets.data.scenery.light import Colour, mix, rgb
from seg_assets.data.scenery.shapes import ellipse, limb, rectangle, rounded, stand
from seg_assets.data.scenery.solids import Pose, box

STEEL = rgb(0x5C646B)
# the letters S, T, O, P as strokes (x0, y0, x1, y1) on a grid of 4 x 5
STOP_STROKES = (
    ((0, 0, 4, 1), (3, 0, 4, 3), (0, 2, 4, 3), (0, 2, 1, 5), (0, 4, 4, 5)),
    ((0, 4, 4, 5), (1.5, 0, 2.5, 5)),
    ((0, 0, 4, 1), (0, 4, 4, 5), (0, 0, 1, 5), (3, 0, 4, 5)),
    ((0, 0, 1, 5), (0, 4, 4, 5), (3, 2, 4, 5), (0, 2, 4, 3)),
)


def _pole(entity: int, x: float, z: float, radius: float, top: float, colour: Colour) -> Face:
    return Face(
        entity, [stand(rectangle(-radius, 0, radius, top), x, z)], colour, bulge=0.9, column=True
    )


def traffic_light(canvas: Canvas, x: float, z: float) -> list[Face]:
    """A signal head with three lamps on a pole; one lamp shines."""
    whole = canvas.entity("traffic light")
    head = canvas.part(whole)
    foot, top = 2.25, 3.35
    shining = int(canvas.rng.integers(3))
    hood = rgb(0x23272B)
    faces = [
        _pole(whole, x, z, 0.07, foot, STEEL),
        Face(
            head,
            [stand(rounded(-0.3, foot - 0.08, 0.3, top + 0.08, 0.1), x, z)],
            rgb(0xE2B93B),
            bulge=0.3,
            column=True,
        ),
        Face(head, [stand(rounded(-0.22, foot, 0.22, top, 0.08), x, z)], hood),
    ]
    for place, bright in enumerate((rgb(0x37D06A), rgb(0xFFC23A), rgb(0xFF4A3A))):
        on = place == shining
        colour = bright if on else mix(bright, (0.08, 0.08, 0.08), 0.72)
        middle = foot + 0.19 + place * 0.36
        lamp = ellipse(0, middle, 0.145, 0.145, 20)
        faces.append(
            Face(
                head,
                [stand(lamp, x, z)],
                colour,
                glow=1.0 if on else 0.0,
                gradient=-0.15,
                casts=False,
            )
        )
    return faces


def stop_sign(canvas: Canvas, x: float, z: float) -> list[Face]:
    """A red octagon with a white rim on a pole."""
    whole = canvas.entity("stop sign")
    plate = canvas.part(whole)
    middle = 2.15
    turn = np.pi / 8 + np.arange(8) * np.pi / 4

    def octagon(radius: float) -> np.ndarray:
        flat = np.column_stack([radius * np.cos(turn), middle + radius * np.sin(turn)])
        return stand(flat, x, z)

    letters = []
    for place, strokes in enumerate(STOP_STROKES):
        left = -0.345 + place * 0.18
        for x0, y0, x1, y1 in strokes:
            letters.append(
                rectangle(
                    left + 0.03 * x0,
                    middle + 0.045 * (y0 - 2.5),
                    left + 0.03 * x1,
                    middle + 0.045 * (y1 - 2.5),
                )
            )
    return [
        _pole(whole, x, z, 0.045, middle, rgb(0x8B9298)),
        Face(plate, [octagon(0.52)], rgb(0xF3F0EA)),
        Face(plate, [octagon(0.47)], rgb(0xC9252B), casts=False),
        Face(plate, [stand(o, x, z) for o in letters], rgb(0xF3F0EA), casts=False),
    ]


def street_lamp(canvas: Canvas, x: float, z: float, side: float) -> list[Face]:
    """A lamp on a tall post with an arm over the road; it shines at dusk."""
    whole = canvas.entity("light")
    arm = [
        limb(0, 4.6, side * 0.4, 5.05, 0.05, 0.045),
        limb(side * 0.4, 5.05, side * 1.1, 5.1, 0.045, 0.04),
    ]
    shade = rounded(side * 1.1 - 0.4, 4.98, side * 1.1 + 0.4, 5.16, 0.08)
    bulb = rounded(side * 1.1 - 0.3, 4.9, side * 1.1 + 0.3, 5.0, 0.05)
    glow = 1.0 if canvas.light.lamps else 0.25
    return [
        _pole(whole, x, z, 0.08, 4.7, rgb(0x3E464C)),
        Face(whole, [stand(o, x, z) for o in arm], rgb(0x3E464C), bulge=0.6),
        Face(whole, [stand(bulb, x, z)], rgb(0xFFE6A8), glow=glow, casts=False),
        Face(whole, [stand(shade, x, z)], rgb(0x343B40)),
    ]


def bench(canvas: Canvas, x: float, z: float, heading: float = 0.0) -> list[Face]:
    """A bench of wooden slats on an iron frame, its seat towards the viewer at heading 0."""
    camera, rng = canvas.camera, canvas.rng
    whole = canvas.entity("bench")
    wood = mix(rgb(0x9A643A), rgb(0x6F4A30), rng.uniform())
    iron = rgb(0x2E3336)
    pose = Pose(x, z, heading)
    length = rng.uniform(1.7, 2.1)
    legs: list[Face] = []
    for along in (-length * 0.4, length * 0.4):
        legs += box(camera, pose, 0.07, 0.44, 0.5, whole, iron, along=along)
        legs += box(camera, pose, 0.07, 0.5, 0.07, whole, iron, along=along, base=0.42, across=0.28)
    back: list[Face] = []
    for foot in (0.56, 0.72, 0.88):
        back += box(
            camera, pose, length, 0.12, 0.05, whole, wood, base=foot, across=0.26, texture="wood"
        )
    seat: list[Face] = []
    for across in (0.16, 0.0, -0.16):
        seat += box(
            camera, pose, length, 0.06, 0.14, whole, wood, base=0.43, across=across, texture="wood"
        )
    return legs + back + seat


def fence(canvas: Canvas, x0: float, x1: float, z: float, height: float = 1.1) -> list[Face]:
    """A picket fence across the view."""
    whole = canvas.entity("fence-merged")
    colour = mix(rgb(0xEFE8DA), rgb(0x9A7350), float(canvas.rng.choice([0.0, 0.15, 1.0])))
    pickets = []
    for left in np.arange(x0, x1, 0.24):
        pickets.append(
            np.array(
                [
                    (left, 0.06),
                    (left + 0.17, 0.06),
                    (left + 0.17, height - 0.12),
                    (left + 0.085, height),
                    (left, height - 0.12),
                ]
            )
        )
    rails = [rectangle(x0, share * height, x1, share * height + 0.11) for share in (0.25, 0.65)]
    return [
        Face(whole, [stand(o, 0, z + 0.03) for o in rails], mix(colour, (0, 0, 0), 0.15)),
        Face(whole, [stand(o, 0, z) for o in pickets], colour, gradient=0.08),
    ]
