"""From the segments of an image to sentences and polygons."""

from collections.abc import Sequence

import numpy as np

from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.grounding_json import Referral
from seg_assets.data.panoptic.params import GroundingParams
from seg_assets.data.panoptic.polygons import Polygon, fill_polygons, outline_mask
from seg_assets.data.panoptic.segments import SegmentedImage
from seg_assets.data.panoptic.sentences import UserSentences, assign_user_sentences, describe

_DEFAULTS = GroundingParams()


def refer_to_segments(
    segmented: SegmentedImage,
    table: CategoryTable,
    *,
    image: str,
    params: GroundingParams = _DEFAULTS,
    user: Sequence[UserSentences] = (),
) -> tuple[Referral, ...]:
    """Say something about every segment that is no crowd and not tiny.

    Args:
        segmented: the image's segments.
        table: the categories.
        image: the image's id, for messages.
        params: what is said, and how exact outlines are.
        user: a user's own sentences; they come before those from templates, and are kept for tiny
            segments and crowds too.

    Returns:
        One entry per segment with sentences, in the order of the segments. None for an image
        without labels: it trains on class names.

    Raises:
        InputError: a user's sentence is for a pixel without a segment.
    """
    own = assign_user_sentences(segmented, user, image)
    size = (segmented.ids.shape[0], segmented.ids.shape[1])
    large = [segment for segment in segmented.segments if segment.area >= params.min_pixels]
    templates = describe(segmented.segments, table, size, positions=params.positions)
    said = {segment.id: templates.get(segment.id, ()) for segment in large}
    referrals = []
    for segment in segmented.segments:
        sentences = dict.fromkeys((*own.get(segment.id, ()), *said.get(segment.id, ())))
        if not sentences:
            continue
        x, y, width, height = segment.bbox
        inside = segmented.ids[y : y + height, x : x + width] == segment.id
        referrals.append(
            Referral(
                tuple(_moved(polygon, x, y) for polygon in _outline(inside, params)),
                tuple(sentences),
                segment.id,
                segment.category_id,
                segment.area,
                segment.bbox,
            )
        )
    return tuple(referrals)


def _outline(mask: np.ndarray, params: GroundingParams) -> tuple[Polygon, ...]:
    """Outline a mask with few corners where that fits well enough, else exactly."""
    polygons = outline_mask(mask, tolerance=params.outline_tolerance)
    filled = fill_polygons(polygons, *mask.shape)
    if (filled & mask).sum() >= params.min_outline_iou * (filled | mask).sum():
        return polygons
    return outline_mask(mask)


def _moved(polygon: Polygon, x: int, y: int) -> Polygon:
    return tuple(value + (y if place % 2 else x) for place, value in enumerate(polygon))
