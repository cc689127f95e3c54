"""How much of the true objects a set of masks can reach, whatever the masks are called."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from seg_assets.errors import InputError


@dataclass(frozen=True)
class ObjectMatch:
    """One true object and the mask that fits it best.

    Attributes:
        object_id: its id in the object map.
        area: its pixels.
        iou: intersection over union with the best mask, 0 to 1; 0 where no mask touches it.
        mask: position of that mask in the given order, or None.
    """

    object_id: int
    area: int
    iou: float
    mask: int | None


def match_objects(
    objects: np.ndarray, masks: Iterable[np.ndarray], *, smallest: int = 1
) -> list[ObjectMatch]:
    """Find the best mask for each object; a mask may serve several, and none is punished.

    Args:
        objects: (H, W) ids of the true objects, 0 = nothing, not negative.
        masks: (H, W) bool each; they may overlap, and are looked at one by one.
        smallest: objects of fewer pixels are left out.

    Returns:
        Matches by ascending object id; of masks that fit equally the first one counts.

    Raises:
        InputError: a mask has another size than the object map.
    """
    areas = np.bincount(objects.ravel())
    best = np.zeros(len(areas))
    chosen = np.full(len(areas), -1)
    for i, mask in enumerate(masks):
        if mask.shape != objects.shape or mask.dtype != np.bool_:
            raise InputError(
                f"mask {i} is {mask.dtype} of {mask.shape} and the object map is {objects.shape}: "
                "give bool masks of the same size"
            )
        overlaps = np.bincount(objects[mask], minlength=len(areas))
        iou = overlaps / np.maximum(areas + mask.sum() - overlaps, 1)
        better = iou > best
        best[better], chosen[better] = iou[better], i
    wanted = np.flatnonzero(areas >= max(smallest, 1))
    return [
        ObjectMatch(
            int(i), int(areas[i]), float(best[i]), int(chosen[i]) if chosen[i] >= 0 else None
        )
        for i in wanted
        if i > 0
    ]


def grid_discs(
    height: int, width: int, points_per_side: int, radii: Iterable[float]
) -> Iterator[np.ndarray]:
    """Discs round every point of a grid: masks that know nothing of the image, as a baseline.

    Args:
        height: of the image.
        width: of the image.
        points_per_side: points of the grid along each side.
        radii: of the discs, as shares of the longer side.

    Yields:
        (H, W) bool.
    """
    rows, columns = np.ogrid[:height, :width]
    shares = (np.arange(points_per_side) + 0.5) / points_per_side
    radii = [radius * max(height, width) for radius in radii]
    for y in shares * height:
        for x in shares * width:
            squared = (rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2
            for radius in radii:
                yield squared <= radius**2
