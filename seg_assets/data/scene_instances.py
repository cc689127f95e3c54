"""Generated scenes as images with instance masks: exact, and as many as there are seeds."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from seg_assets.classes.table import load_class_table
from seg_assets.data.instance_image import InstanceImage, stack_objects
from seg_assets.data.scenes import CLASS_TABLE, VIEWS, View, make_scene
from seg_assets.errors import InputError

Level = Literal["whole", "part"]


class SceneInstances:
    """One drawn scene per seed, with a mask for everything in it.

    Args:
        seeds: one image each, in this order.
        size: side of a square picture, or (height, width), in pixels.
        view: "wide" for many things near and far, "close" for a few large ones.
        level: "whole" for objects and surfaces, "part" for their parts where they have any.
        min_area: objects of which fewer pixels are visible are left out.

    Raises:
        InputError: there are no seeds, or view or level is unknown.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        size: int | tuple[int, int] = 384,
        *,
        view: View = "wide",
        level: Level = "whole",
        min_area: int = 1,
    ) -> None:
        if not seeds:
            raise InputError("a data set of scenes has no seeds: give at least one")
        if level not in ("whole", "part"):
            raise InputError(f"scenes have no level {level!r}: ask for 'whole' or 'part'")
        if view not in VIEWS:
            raise InputError(f"scenes have no view {view!r}: ask for {' or '.join(VIEWS)}")
        self._seeds = seeds
        self._size = size
        self._view: View = view
        self._level = level
        self._min_area = max(1, min_area)
        self.class_names: tuple[str, ...] = load_class_table(CLASS_TABLE).names

    def __len__(self) -> int:
        return len(self._seeds)

    def __getitem__(self, index: int) -> InstanceImage:
        seed = self._seeds[index]
        scene = make_scene(seed, self._size, view=self._view)
        id_map = scene.instance_map if self._level == "whole" else scene.part_map
        entities, areas = np.unique(id_map, return_counts=True)
        entities = entities[(entities > 0) & (areas >= self._min_area)]
        return stack_objects(
            f"scene_{seed:07d}",
            scene.image,
            [id_map == entity for entity in entities],
            class_ids=scene.class_ids[entities].tolist(),
        )


def open_scenes(
    seeds: str,
    *,
    size: int | tuple[int, int] = 384,
    view: View = "wide",
    level: Level = "whole",
    min_area: int = 1,
) -> SceneInstances:
    """Open the scenes of a range of seeds, written as "first:stop" such as "1000000:1000200".

    Raises:
        InputError: the range is not written so or is empty, or view or level is unknown.
    """
    first, colon, stop = seeds.partition(":")
    if not (colon and first.isdecimal() and stop.isdecimal()):
        raise InputError(f"{seeds!r} is no range of seeds: write first:stop, as in 0:100")
    return SceneInstances(
        range(int(first), int(stop)), size, view=view, level=level, min_area=min_area
    )
