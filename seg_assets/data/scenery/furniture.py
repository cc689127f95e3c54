"""Furniture for rooms: bed, tables, cabinets, shelves, rugs; see seats.py for what one sits on."""

import numpy as np

from seg_assets.data.scenery.canvas import UPWARDS, Canvas, Face
from seg_assets.data.scenery.light import Colour, mix, rgb
from seg_assets.data.scenery.shapes import rectangle, rounded
from seg_assets.data.scenery.solids import Pose, box, extrude

CLOTHS = (0x7A8C94, 0xB5553F, 0x3E6C74, 0xC9A24B, 0x59664F, 0x8A5A6B, 0x46597A, 0xB9A88F, 0xD9D2C4)
WOODS = (0x9A6B42, 0x6B4730, 0xC79B68, 0x4A352A, 0xE8E2D6)
ACCENTS = (0xD9A441, 0xC4553D, 0x3F8087, 0xE9E2D3, 0x6E7F4E, 0x8E5A7A)


def choose(rng: np.random.Generator, colours: tuple[int, ...]) -> Colour:
    """Pick one of the colours."""
    return rgb(int(rng.choice(colours)))


def bed(canvas: Canvas, x: float, z: float, *, wide: float = 1.6) -> list[Face]:
    """A bed whose head stands at depth z and whose foot comes towards the viewer."""
    rng, camera = canvas.rng, canvas.camera
    whole = canvas.entity("bed")
    linen, cover = canvas.part(whole), canvas.part(whole)
    wood, sheet = choose(rng, WOODS), mix(rgb(0xF2EEE6), choose(rng, ACCENTS), 0.08)
    blanket = choose(rng, ACCENTS + CLOTHS)
    long = 2.0
    pose = Pose(x, z - long / 2 - 0.08)
    half = wide / 2
    head = Pose(x, z - 0.05)
    faces = extrude(
        camera,
        head,
        rounded(-half - 0.06, 0.05, half + 0.06, 1.15, 0.1),
        0.05,
        whole,
        wood,
        texture="wood",
    )
    faces += box(camera, pose, wide + 0.06, 0.3, long, whole, wood, base=0.06, texture="wood")
    faces += box(
        camera, pose, wide, 0.2, long - 0.04, linen, sheet, base=0.34, texture="cloth", strength=0.6
    )
    for sign in (-1.0, 1.0):
        puff = Pose(x + sign * half * 0.5, z - 0.42)
        faces += extrude(
            camera,
            puff,
            rounded(-half * 0.43, 0.53, half * 0.43, 0.7, 0.08),
            0.2,
            linen,
            mix(sheet, (1, 1, 1), 0.3),
            bulge=0.3,
            texture="cloth",
            strength=0.5,
        )
    over = Pose(x, z - long / 2 - 0.42)
    faces += box(
        camera,
        over,
        wide + 0.07,
        0.36,
        long - 0.62,
        cover,
        blanket,
        base=0.22,
        texture="cloth",
        gradient=0.1,
    )
    fold = Pose(x, z - 0.84)
    faces += box(
        camera,
        fold,
        wide + 0.09,
        0.1,
        0.24,
        cover,
        mix(sheet, blanket, 0.15),
        base=0.5,
        texture="cloth",
        strength=0.5,
    )
    return faces


def table(
    canvas: Canvas, x: float, z: float, *, name: str, long: float, deep: float, high: float
) -> list[Face]:
    """A table of wood on four legs; `name` is its class."""
    rng, camera = canvas.rng, canvas.camera
    whole = canvas.entity(name)
    wood = choose(rng, WOODS)
    pose = Pose(x, z)
    dark = mix(wood, (0, 0, 0), 0.25)
    faces: list[Face] = []
    for across in (deep * 0.42, -deep * 0.42):
        for along in sorted((-long * 0.45, long * 0.45), key=lambda a: -abs(x + a)):
            faces += box(
                camera,
                pose,
                0.07,
                high - 0.04,
                0.07,
                whole,
                dark,
                along=along,
                across=across,
                texture="wood",
            )
    faces += box(
        camera, pose, long * 0.94, 0.08, deep * 0.88, whole, dark, base=high - 0.13, texture="wood"
    )
    return faces + box(
        camera, pose, long, 0.05, deep, whole, wood, base=high - 0.05, texture="wood", gradient=0.0
    )


def cabinet(
    canvas: Canvas, x: float, z: float, *, long: float = 1.5, high: float = 0.6
) -> list[Face]:
    """A low cabinet with doors and knobs."""
    rng, camera = canvas.rng, canvas.camera
    whole = canvas.entity("cabinet-merged")
    wood = choose(rng, WOODS)
    pose = Pose(x, z)
    front = -0.2 - 0.004
    count = max(int(round(long / 0.5)), 1)
    wide = (long - 0.06) / count
    doors = [
        rectangle(
            -long / 2 + 0.03 + i * wide + 0.015,
            0.14,
            -long / 2 + 0.03 + (i + 1) * wide - 0.015,
            high - 0.06,
        )
        for i in range(count)
    ]
    knobs = [
        rounded(
            (d[0, 0] + d[1, 0]) / 2 - 0.05,
            high * 0.62,
            (d[0, 0] + d[1, 0]) / 2 + 0.05,
            high * 0.62 + 0.03,
            0.015,
        )
        for d in doors
    ]
    return [
        *box(camera, pose, long, high - 0.08, 0.4, whole, wood, base=0.08, texture="wood"),
        Face(
            whole,
            [pose.side(d, front) for d in doors],
            mix(wood, (1, 1, 1), 0.1),
            texture="wood",
            casts=False,
        ),
        Face(whole, [pose.side(k, front - 0.004) for k in knobs], rgb(0x2E2A28), casts=False),
    ]


def bookshelf(canvas: Canvas, x: float, z: float, *, wide: float = 0.95) -> list[Face]:
    """A tall shelf; each board carries a row of books."""
    rng, camera = canvas.rng, canvas.camera
    whole = canvas.entity("shelf")
    wood = choose(rng, WOODS)
    pose = Pose(x, z)
    high = float(rng.uniform(1.7, 2.05))
    rows = 4
    faces = box(camera, pose, wide, high, 0.3, whole, wood, texture="wood")
    pitch = (high - 0.06) / rows
    for row in range(rows):
        foot = 0.05 + row * pitch
        hollow = rectangle(-wide / 2 + 0.05, foot, wide / 2 - 0.05, foot + pitch - 0.05)
        faces.append(
            Face(
                whole,
                [pose.side(hollow, -0.151)],
                mix(wood, (0, 0, 0), 0.6),
                gradient=-0.2,
                casts=False,
            )
        )
        if rng.random() < 0.85:
            faces += _books(canvas, pose, -wide / 2 + 0.06, wide / 2 - 0.08, foot, pitch - 0.08)
    return faces


def _books(
    canvas: Canvas, pose: Pose, left: float, right: float, foot: float, room: float
) -> list[Face]:
    """One row of books, as one object."""
    rng = canvas.rng
    entity = canvas.entity("book")
    backs: dict[int, list[np.ndarray]] = {}
    bands: list[np.ndarray] = []
    at, stop = left, right - rng.uniform(0, 0.35) * (right - left)
    while at < stop:
        thick = float(rng.uniform(0.035, 0.075))
        tall = room * rng.uniform(0.68, 0.95)
        outline = rectangle(at, foot, min(at + thick - 0.006, right), foot + tall)
        backs.setdefault(int(rng.choice(ACCENTS + CLOTHS)), []).append(pose.side(outline, -0.152))
        bands.append(
            pose.side(
                rectangle(at + 0.006, foot + tall * 0.7, at + thick - 0.012, foot + tall * 0.78),
                -0.153,
            )
        )
        at += thick
    faces = [
        Face(entity, outlines, rgb(code), gradient=0.05, casts=False)
        for code, outlines in backs.items()
    ]
    return [*faces, Face(0, bands, rgb(0xE8DCC0), alpha=0.6, casts=False)]


def rug(canvas: Canvas, x: float, z: float, half_x: float, half_z: float) -> list[Face]:
    """A rug with a border, rectangular or oval, flat on the floor."""
    rng = canvas.rng
    entity = canvas.entity("rug-merged", ground=True)
    outer, inner = choose(rng, CLOTHS + ACCENTS), choose(rng, ACCENTS)
    oval = bool(rng.random() < 0.35)
    faces = []
    for share, colour in (
        (1.0, outer),
        (0.9, mix(outer, (1, 1, 1), 0.4)),
        (0.85, inner),
        (0.5, mix(inner, outer, 0.6)),
    ):
        if oval:
            turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
            outline = np.column_stack([np.cos(turn), np.sin(turn)])
        else:
            outline = rectangle(-1, -1, 1, 1)
        outline = outline * share * (half_x, half_z) + (x, z)
        points = np.column_stack([outline[:, 0], np.full(len(outline), 0.01), outline[:, 1]])
        faces.append(
            Face(entity, [points], colour, UPWARDS, texture="cloth", gradient=0.0, casts=False)
        )
    return faces
