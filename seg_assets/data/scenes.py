"""Generated scenes with exact ground truth: streets, parks, meadows, shores and rooms.

Each can be had as a wide view of many things, or as a close view of a few large ones.

A scene is drawn by our own code from a seed: the same seed gives the same bytes on one machine,
and the same composition at any size. Held-out scenes have seeds below 1,000 (`HELD_OUT_SEEDS`);
training uses seeds from 1,000,000 on (`FIRST_TRAINING_SEED`), so that the two never meet.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.data.scenery.camera import Camera
from seg_assets.data.scenery.canvas import Canvas
from seg_assets.data.scenery.close_ups import indoors, lawn, roadside, waterside
from seg_assets.data.scenery.light import daylight, room_light
from seg_assets.data.scenery.outdoor import meadow, park, shore
from seg_assets.data.scenery.rooms import bedroom, dining_room, living_room
from seg_assets.data.scenery.streets import crossing, street
from seg_assets.errors import InputError
from seg_assets.storage.png import encode_label_map

logger = logging.getLogger(__name__)

HELD_OUT_SEEDS = range(1_000)
FIRST_TRAINING_SEED = 1_000_000
CLASS_TABLE = "coco133"
LABEL_FORMAT = "png:coco133"
SMALLEST, LARGEST = 64, 4096  # pixels per side

# what can be drawn, and how often
KINDS: dict[str, tuple[Callable[[Canvas], None], float]] = {
    "street": (street, 0.20),
    "crossing": (crossing, 0.15),
    "park": (park, 0.15),
    "meadow": (meadow, 0.10),
    "shore": (shore, 0.12),
    "living room": (living_room, 0.12),
    "bedroom": (bedroom, 0.08),
    "dining room": (dining_room, 0.08),
}
# few things, each of them large
CLOSE_UPS: dict[str, tuple[Callable[[Canvas], None], float]] = {
    "lawn": (lawn, 0.3),
    "roadside": (roadside, 0.25),
    "waterside": (waterside, 0.22),
    "indoors": (indoors, 0.23),
}
View = Literal["wide", "close"]
VIEWS: dict[View, dict[str, tuple[Callable[[Canvas], None], float]]] = {
    "wide": KINDS,
    "close": CLOSE_UPS,
}
ROOMS = frozenset({"living room", "bedroom", "dining room", "indoors"})


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it. Entities are numbered from 1; index 0 stands for nothing.

    Attributes:
        seed: What it was drawn from.
        kind: One of `VIEWS`' kinds.
        image: (H, W, 3) uint8 RGB.
        label_map: (H, W) uint8 COCO-133 ids, 255 where nothing is.
        instance_map: (H, W) int32 ids of whole objects and surfaces, 0 where nothing is.
        part_map: (H, W) int32 id of the part at a pixel, or of the whole where it has no parts.
        parents: (N + 1,) int32, the whole that a part belongs to, 0 for wholes.
        class_ids: (N + 1,) uint8 COCO-133 id of every entity; `class_ids[0]` is 255.
    """

    seed: int
    kind: str
    image: np.ndarray
    label_map: np.ndarray
    instance_map: np.ndarray
    part_map: np.ndarray
    parents: np.ndarray
    class_ids: np.ndarray


def make_scene(
    seed: int,
    size: int | tuple[int, int] = 384,
    *,
    view: View = "wide",
    kind: str | None = None,
) -> Scene:
    """Draw the scene of a seed.

    Args:
        seed: Any integer from 0 on.
        size: Side of a square picture, or (height, width), in pixels.
        view: "wide" for many things near and far, "close" for a few large ones.
        kind: One of that view's kinds in `VIEWS`; by default the seed chooses.

    Returns:
        The picture with its label, instance and part maps.

    Raises:
        InputError: The seed, the size, the view or the kind is not possible.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise InputError(
            f"a scene of {height} x {width} pixels cannot be drawn; "
            f"ask for sides from {SMALLEST} to {LARGEST}"
        )
    if seed < 0:
        raise InputError(f"seed {seed} is negative; use 0 or more")
    kinds = VIEWS.get(view)
    if kinds is None:
        raise InputError(f"there is no view {view!r} of a scene; choose {' or '.join(VIEWS)}")
    rng = np.random.default_rng(seed)
    names = list(kinds)
    chosen = names[int(rng.choice(len(names), p=[share for _, share in kinds.values()]))]
    kind = kind or chosen
    if kind not in kinds:
        raise InputError(f"there is no {view} scene {kind!r}; choose one of {', '.join(names)}")
    canvas = _canvas(rng, height, width, view, indoors=kind in ROOMS)
    kinds[kind][0](canvas)
    image = canvas.finish()
    return _scene(seed, kind, canvas, image)


def write_scenes(
    folder: str | Path,
    seeds: Iterable[int],
    size: int | tuple[int, int] = 384,
    *,
    view: View = "wide",
) -> list[Path]:
    """Write scenes as a folder source: `images/scene_<seed>.png` and `labels/scene_<seed>.png`.

    The labels are indexed PNGs of COCO-133 ids: read them with label format `LABEL_FORMAT`.

    Returns:
        The paths of the images, in the order of the seeds.

    Raises:
        InputError: The folder cannot be written, or a scene cannot be drawn.
    """
    palette = load_class_table(CLASS_TABLE).palette()
    images, labels = Path(folder) / "images", Path(folder) / "labels"
    try:
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        paths = []
        for seed in seeds:
            scene = make_scene(seed, size, view=view)
            name = f"scene_{seed:07d}.png"
            Image.fromarray(scene.image).save(images / name)
            (labels / name).write_bytes(encode_label_map(scene.label_map, palette))
            paths.append(images / name)
    except OSError as error:
        raise InputError(
            f"scenes cannot be written to {folder} ({error.strerror}); choose another folder"
        ) from error
    logger.info("wrote %d scenes to %s", len(paths), folder)
    return paths


def _canvas(
    rng: np.random.Generator, height: int, width: int, view: View, *, indoors: bool
) -> Canvas:
    """Set up camera and light; a close view is taken from the height of a child's eyes."""
    short = min(height, width)
    stoop = 1.0 if view == "wide" else 0.6
    centre = width / 2 + rng.uniform(-0.09, 0.09) * width
    if indoors:
        camera = Camera(
            1.5 * min(1.0, stoop + 0.2),
            rng.uniform(0.82, 0.95) * short,
            centre,
            rng.uniform(0.36, 0.46) * height,
        )
        return Canvas(height, width, camera, room_light(rng), rng)
    camera = Camera(
        rng.uniform(1.65, 2.1) * stoop,
        rng.uniform(0.98, 1.22) * short,
        centre,
        rng.uniform(0.40, 0.52) * height,
    )
    return Canvas(height, width, camera, daylight(rng), rng)


def _scene(seed: int, kind: str, canvas: Canvas, image: np.ndarray) -> Scene:
    """Number what is visible from 1 on, and derive label and instance maps."""
    table = load_class_table(CLASS_TABLE)
    all_parents = np.asarray(canvas.parents)
    seen = np.zeros(len(all_parents), dtype=bool)
    seen[np.unique(canvas.ids)] = True
    seen[all_parents[seen]] = True  # a whole is there when a part of it is
    seen[0] = True
    kept = np.flatnonzero(seen)
    number = np.zeros(len(all_parents), dtype=np.int32)
    number[kept] = np.arange(len(kept))
    parents = number[all_parents[kept]].astype(np.int32)
    class_ids = np.array(
        [255] + [table.id_of(canvas.names[entity]) for entity in kept[1:]], dtype=np.uint8
    )
    part_map = number[canvas.ids]
    wholes = np.where(parents > 0, parents, np.arange(len(kept), dtype=np.int32))
    instance_map = wholes.astype(np.int32)[part_map]
    return Scene(
        seed=seed,
        kind=kind,
        image=image,
        label_map=class_ids[instance_map],
        instance_map=instance_map,
        part_map=part_map,
        parents=parents,
        class_ids=class_ids,
    )
