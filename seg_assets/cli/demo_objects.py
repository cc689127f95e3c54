"""How well the demo's masks fit the objects that were drawn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seg_assets.data.scenes import View, make_scene
from seg_assets.masks.records import MaskRecord
from seg_assets.metrics.best_mask import grid_discs, match_objects
from seg_assets.storage.store import Store

SMALLEST_SHARE = 0.004  # of the scene
DISC_RADII = (0.03, 0.08, 0.2)  # of the side: about the small, middling and large objects


@dataclass(frozen=True)
class ObjectScores:
    """Mean over all objects of at least 0.4 % of their scene.

    Attributes:
        objects: how many.
        iou: mean IoU of each object's best mask.
        found: share of the objects whose best mask has an IoU of at least one half.
        disc_iou: the same as `iou` with as many discs round the same points in place of masks.
    """

    objects: int
    iou: float
    found: float
    disc_iou: float


def score_objects(
    store: Store,
    shards: Sequence[str],
    seeds: Mapping[str, int],
    size: int,
    view: View,
    points_per_side: int,
) -> ObjectScores:
    """Compare the masks of all shards with the objects of the scenes.

    Args:
        store: with the finished shards.
        shards: their names.
        seeds: seed of each image's scene.
        size: side of the scenes in pixels.
        view: of the scenes.
        points_per_side: of the grid of points that the masks were asked with; each gives three.
    """
    ious: list[float] = []
    disc_ious: list[float] = []
    for shard in shards:
        reader = store.open_shard("sam_masks", shard)
        for image_id in reader.image_ids:
            objects = make_scene(seeds[image_id], size, view=view).instance_map
            smallest = int(SMALLEST_SHARE * objects.size)
            found = match_objects(objects, _masks(reader.rows(image_id)), smallest=smallest)
            discs = grid_discs(size, size, points_per_side, DISC_RADII)
            trivial = match_objects(objects, discs, smallest=smallest)
            ious += [match.iou for match in found]
            disc_ious += [match.iou for match in trivial]
    return ObjectScores(
        objects=len(ious),
        iou=float(np.mean(ious)),
        found=float(np.mean(np.array(ious) >= 0.5)),
        disc_iou=float(np.mean(disc_ious)),
    )


def _masks(rows: Sequence[Mapping]) -> Iterator[np.ndarray]:
    for row in rows:
        yield MaskRecord.from_row(row).rle.decode().astype(bool)
