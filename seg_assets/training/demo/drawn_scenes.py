"""Generated scenes, drawn once and kept: drawing one takes longer than a training step needs it."""

import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from seg_assets.data.scenes import Scene, make_scene
from seg_assets.errors import InputError

_log = logging.getLogger(__name__)

DRAWN_SIZE = 384
"""Pixels a side as drawn: what `seg-assets demo` draws. They are then shrunk as SAM's input is."""
KEPT_SIZE = 256
_VERSION = 3  # of what is kept; raise it when scenes of a seed look different
_CHUNK = 50
_REPORT_SECONDS = 30.0
_ARRAYS = {"images": (3,), "label_maps": (), "instance_maps": ()}


@dataclass(frozen=True)
class DrawnScene:
    """One scene of S x S pixels.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        label_map: (S, S) uint8 COCO-133 ids, 255 where nothing is.
        instance_map: (S, S) uint8 ids of whole objects and surfaces, 0 where nothing is.
    """

    image: np.ndarray
    label_map: np.ndarray
    instance_map: np.ndarray


class DrawnScenes(Sequence[DrawnScene]):
    """Scenes in the files that `draw_scenes` wrote; read page by page, shared by processes."""

    def __init__(self, folder: Path) -> None:
        self._arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}

    def __len__(self) -> int:
        return len(self._arrays["images"])

    def __getitem__(self, index: int) -> DrawnScene:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DrawnScene(
            *(np.array(self._arrays[name][index]) for name in ("images", "label_maps")),
            instance_map=np.array(self._arrays["instance_maps"][index]),
        )


def draw_scenes(folder: Path, seeds: range, *, processes: int | None = None) -> DrawnScenes:
    """Draw the scenes of `seeds`, or open them where `folder` holds them already.

    Args:
        folder: Where to keep them, 0.3 MB each.
        seeds: Of the scenes.
        processes: That draw side by side; by default one per core.

    Raises:
        InputError: The folder cannot be written.
    """
    made_of = {"version": _VERSION, "first": seeds.start, "count": len(seeds)}
    finished = folder / "scenes.json"
    if finished.is_file() and json.loads(finished.read_text()) == made_of:
        return DrawnScenes(folder)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, channels in _ARRAYS.items():
            shape = (len(seeds), KEPT_SIZE, KEPT_SIZE, *channels)
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape)
        _draw_all(folder, seeds, processes or os.cpu_count() or 1)
        finished.write_text(json.dumps(made_of))
    except OSError as error:
        raise InputError(
            f"scenes cannot be kept in {folder} ({error.strerror}): choose another folder"
        ) from error
    return DrawnScenes(folder)


def _draw_all(folder: Path, seeds: range, processes: int) -> None:
    chunks = [range(i, min(i + _CHUNK, len(seeds))) for i in range(0, len(seeds), _CHUNK)]
    begun = reported = time.monotonic()
    done = 0
    # forked children would inherit torch's threads in an unknown state
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for count in pool.map(_draw_chunk, [(folder, seeds.start, chunk) for chunk in chunks]):
            done += count
            now = time.monotonic()
            if now - reported > _REPORT_SECONDS:
                reported = now
                left = (now - begun) / done * (len(seeds) - done)
                _log.info("drew %d of %d scenes, %.0f s left", done, len(seeds), left)


def _draw_chunk(work: tuple[Path, int, range]) -> int:
    folder, first_seed, places = work
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _ARRAYS}
    for place in places:
        scene = shrink(make_scene(first_seed + place, DRAWN_SIZE, view="close"))
        arrays["images"][place] = scene.image
        arrays["label_maps"][place] = scene.label_map
        arrays["instance_maps"][place] = scene.instance_map
    for array in arrays.values():
        array.flush()  # type: ignore[attr-defined]
    return len(places)


def shrink(scene: Scene, size: int = KEPT_SIZE) -> DrawnScene:
    """Shrink the picture as SAM's input is shrunk, and the maps by taking the nearest pixel."""
    drawn = len(scene.image)
    picture = Image.fromarray(scene.image).resize((size, size), Image.Resampling.BILINEAR)
    cells = (np.arange(size) * 2 + 1) * drawn // (2 * size)
    _, numbers = np.unique(scene.instance_map, return_inverse=True)  # parts left gaps
    if scene.instance_map.min() > 0:
        numbers = numbers + 1
    return DrawnScene(
        np.asarray(picture),
        scene.label_map[cells][:, cells],
        numbers.reshape(drawn, drawn).astype(np.uint8)[cells][:, cells],
    )
