"""From panoptic maps to one class per pixel: a PNG of category ids, or COCO's JSON."""

from typing import Any

import numpy as np

from seg_assets.data.coco_masks import mask_json
from seg_assets.data.instance_image import mask_box
from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.segments import SegmentedImage
from seg_assets.errors import InputError


def panoptic_to_category_map(
    segmented: SegmentedImage, table: CategoryTable, *, things_as: int | None = None
) -> np.ndarray:
    """Write category ids, as panopticapi's converter does; training needs `semantic_png` instead.

    Args:
        segmented: the image's segments.
        table: the categories.
        things_as: one id for all things (COCO-stuff has 183, "other"); None to keep theirs.

    Returns:
        (H, W) uint8 category ids, 0 where there is no segment.

    Raises:
        InputError: an id does not fit into a byte.
        UnknownClassError: a segment's category is not in the table.
    """
    values: dict[int, int] = {}
    for segment in segmented.segments:
        category = table.by_id(segment.category_id)
        values[segment.id] = category.id
        if things_as is not None and category.is_thing:
            values[segment.id] = things_as
    if values and max(values.values()) > 255:
        raise InputError(
            f"category {max(values.values())} does not fit into an 8-bit PNG; number the "
            "categories up to 255"
        )
    return segmented.lookup(values, 0).astype(np.uint8)


def panoptic_to_semantic_json(
    segmented: SegmentedImage,
    table: CategoryTable,
    *,
    image_id: int,
    things_as: int | None = None,
) -> list[dict[str, Any]]:
    """Write one COCO annotation per category of an image, as COCO-stuff's files have them.

    Args:
        segmented: the image's segments.
        table: the categories.
        image_id: number of the image.
        things_as: as in `panoptic_to_category_map`.

    Returns:
        image_id, category_id, segmentation {size, counts}, area, bbox, iscrowd 0 each, in
        ascending order of categories.
    """
    category_map = panoptic_to_category_map(segmented, table, things_as=things_as)
    annotations = []
    for category_id in np.unique(category_map[category_map > 0]).tolist():
        mask = category_map == category_id
        left, top, right, bottom = mask_box(mask)
        annotations.append(
            {
                "image_id": image_id,
                "category_id": category_id,
                "segmentation": mask_json(mask),
                "area": int(mask.sum()),
                "bbox": [left, top, right - left, bottom - top],
                "iscrowd": 0,
            }
        )
    return annotations
