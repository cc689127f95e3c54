"""The disjoint segments of an image: objects one by one, each stuff class as a whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.from_maps import segments_from_maps
from seg_assets.data.panoptic.segments import SegmentedImage, row_runs
from seg_assets.exports.format import ExportImage


@dataclass(frozen=True, eq=False)
class CutImage:
    """The segments of an image.

    Attributes:
        segmented: map of segment ids, and what they are. Thing pixels in no mask are a crowd per
            class: nobody has told their objects apart.
        mask_ids: the mask of each segment that is (what shows of) a mask.
    """

    segmented: SegmentedImage
    mask_ids: Mapping[int, int]


def cut_image(image: ExportImage, categories: CategoryTable) -> CutImage:
    """Cut an image into segments, in the classes of its label map.

    A thing is what shows of one mask; where maps are not made of masks, one connected part.

    Args:
        image: the image; its id decides the colours of the segments.
        categories: the map's classes, and which are things.
    """
    labels = image.labels
    segmented = segments_from_maps(
        labels.label_map, categories, image=image.image_id, instance_map=labels.owners
    )
    if labels.owners is None:
        return CutImage(segmented, {})
    runs = row_runs(segmented.ids)
    present, first = np.unique(runs.values, return_index=True)
    owners = labels.owners[runs.rows[first], runs.starts[first]]
    owner_of = dict(zip(present.tolist(), owners.tolist(), strict=True))
    mask_ids = {
        segment.id: owner_of[segment.id] - 1
        for segment in segmented.segments
        if categories.by_id(segment.category_id).is_thing and not segment.is_crowd
    }
    return CutImage(segmented, mask_ids)


def segment_bounds(ids: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Find where each segment of a map begins and ends, all in one pass.

    Args:
        ids: (H, W) integers.

    Yields:
        The values, ascending, each with the bounds of its stretches in reading order: first pixel,
        pixel after the last, first pixel of the next, ...; (2N,) int64. Neighbouring stretches do
        not touch.
    """
    pixels = np.ascontiguousarray(ids).ravel()
    starts = np.concatenate([[0], np.flatnonzero(pixels[1:] != pixels[:-1]) + 1])
    ends = np.append(starts[1:], pixels.size)
    values = pixels[starts]
    order = np.argsort(values, kind="stable")
    present, first = np.unique(values[order], return_index=True)
    for value, group in zip(present.tolist(), np.split(order, first[1:]), strict=True):
        yield value, np.stack([starts[group], ends[group]], axis=1).ravel()
