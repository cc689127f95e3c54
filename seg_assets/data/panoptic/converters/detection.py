"""Between instance masks that may overlap (detection) and panoptic maps, which never do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seg_assets.data.coco_masks import mask_json, parse_mask
from seg_assets.data.panoptic.categories import VOID_ID, CategoryTable
from seg_assets.data.panoptic.colors import SegmentColors
from seg_assets.data.panoptic.segments import SegmentedImage, describe_segments
from seg_assets.errors import InputError


@dataclass(frozen=True, eq=False)
class Detection:
    """One object of an image.

    Attributes:
        mask: (H, W) bool.
        category_id: id in the category table.
        score: of a prediction, 0..1; 1 for ground truth.
        is_crowd: a group whose objects are not told apart.
    """

    mask: np.ndarray
    category_id: int
    score: float = 1.0
    is_crowd: bool = False


def detections_from_coco(
    annotations: Sequence[dict[str, Any]], height: int, width: int, where: str
) -> list[Detection]:
    """Read COCO's annotations, or results, of one image.

    Args:
        annotations: category_id, segmentation (polygons or run lengths), iscrowd?, score? each.
        height: rows of the image.
        width: columns of the image.
        where: the image, for messages.

    Raises:
        InputError: an annotation has no category.
        ImageError: a mask is damaged or of another size.
    """
    found = []
    for number, annotation in enumerate(annotations):
        what = f"annotation {annotation.get('id', number)} of {where}"
        if not isinstance(annotation.get("category_id"), int):
            raise InputError(f"{what} has no category_id; name its category")
        mask = parse_mask(annotation.get("segmentation"), height, width, what).decode(what)
        found.append(
            Detection(
                mask,
                annotation["category_id"],
                float(annotation.get("score", 1.0)),
                bool(annotation.get("iscrowd", 0)),
            )
        )
    return found


def detection_to_panoptic(
    detections: Sequence[Detection],
    table: CategoryTable,
    size: tuple[int, int],
    *,
    image: str,
    seed: int = 0,
) -> SegmentedImage:
    """Paint masks that do not overlap as segments; pixels of none stay unlabelled.

    All masks of one stuff category become one segment.

    Args:
        detections: those of one image.
        table: the categories.
        size: height and width of the image.
        image: the image's id, for colours and messages.
        seed: gives other colours.

    Raises:
        InputError: two masks overlap, or a mask has another size.
        UnknownClassError: a category is not in the table.
    """
    colors = SegmentColors(table, image, seed)
    ids = np.zeros(size, np.int32)
    category_ids: dict[int, int] = {}
    crowds: set[int] = set()
    for detection in detections:
        category = table.by_id(detection.category_id)
        if detection.mask.shape != size:
            raise InputError(
                f"a mask of {image} has shape {detection.mask.shape} in an image of {size}; give "
                "masks at the image's size"
            )
        if not detection.mask.any():
            continue
        segment_id = colors.next_id(category)
        under = np.unique(ids[detection.mask])
        if other := [i for i in under.tolist() if i not in (VOID_ID, segment_id)]:
            shared = int((detection.mask & (ids == other[0])).sum())
            raise InputError(
                f"in {image} {shared} pixels are both {category.name!r} and "
                f"{table.by_id(category_ids[other[0]]).name!r}; masks of a panoptic map may not "
                "overlap, cut one of them"
            )
        ids[detection.mask] = segment_id
        category_ids[segment_id] = category.id
        if detection.is_crowd:
            crowds.add(segment_id)
    return describe_segments(ids, category_ids, crowds)


def panoptic_to_detection(
    segmented: SegmentedImage,
    table: CategoryTable,
    *,
    image_id: int,
    first_id: int = 1,
    things_only: bool = True,
) -> list[dict[str, Any]]:
    """Write segments as COCO's annotations with compressed run lengths.

    Args:
        segmented: the image's segments.
        table: the categories.
        image_id: number of the image.
        first_id: number of the first annotation; the others count on.
        things_only: leave out stuff.

    Returns:
        id, image_id, category_id, segmentation {size, counts}, area, bbox, iscrowd each.
    """
    annotations = []
    for segment in segmented.segments:
        if things_only and not table.by_id(segment.category_id).is_thing:
            continue
        annotations.append(
            {
                "id": first_id + len(annotations),
                "image_id": image_id,
                "category_id": segment.category_id,
                "segmentation": mask_json(segmented.ids == segment.id),
                "area": segment.area,
                "bbox": list(segment.bbox),
                "iscrowd": int(segment.is_crowd),
            }
        )
    return annotations
