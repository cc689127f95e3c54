"""Segments of an image: a map of segment ids and what each segment is."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from seg_assets.data.panoptic.categories import VOID_ID, CategoryTable
from seg_assets.errors import InputError


@dataclass(frozen=True)
class Segment:
    """One segment, as a panoptic JSON lists it.

    Attributes:
        id: its value in the map: R + 256 G + 65536 B of its colour in the PNG.
        category_id: id in the category table.
        area: pixels.
        bbox: x, y, width, height in pixels; the last row and column count.
        is_crowd: a group whose objects are not told apart; training skips it.
    """

    id: int
    category_id: int
    area: int
    bbox: tuple[int, int, int, int]
    is_crowd: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return COCO's entry of `segments_info`."""
        return {
            "id": self.id,
            "category_id": self.category_id,
            "area": self.area,
            "bbox": list(self.bbox),
            "iscrowd": int(self.is_crowd),
        }


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """The panoptic annotation of one image.

    Attributes:
        ids: (H, W) int32 segment ids, 0 where there is no segment.
        segments: one entry per id in the map, in ascending order of ids.
    """

    ids: np.ndarray
    segments: tuple[Segment, ...]

    def semantic(self, table: CategoryTable) -> np.ndarray:
        """Return (H, W) uint8 training ids 0..N-1, 255 where there is no segment."""
        return self.lookup(
            {segment.id: table.train_id(segment.category_id) for segment in self.segments}, 255
        ).astype(np.uint8)

    def lookup(self, values: Mapping[int, int], void: int) -> np.ndarray:
        """Replace each segment id by a number.

        Args:
            values: segment id -> number.
            void: the number where there is no segment, or where `values` has none.

        Returns:
            (H, W) int32.
        """
        runs = row_runs(self.ids)
        present, inverse = np.unique(runs.values, return_inverse=True)
        found = np.array([values.get(value, void) for value in present.tolist()], np.int32)
        return np.repeat(found[inverse], runs.stops - runs.starts).reshape(self.ids.shape)


class Runs(NamedTuple):
    """Stretches of equal values inside rows, in reading order; (N,) each."""

    rows: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    values: np.ndarray


def row_runs(ids: np.ndarray) -> Runs:
    """Cut a map into stretches of equal values inside rows.

    Everything about segments follows from them: there are far fewer runs than pixels.

    Args:
        ids: (H, W) integers.
    """
    begins = np.ones(ids.shape, bool)
    np.not_equal(ids[:, 1:], ids[:, :-1], out=begins[:, 1:])
    first = np.flatnonzero(begins)
    lengths = np.diff(first, append=ids.size)
    rows, starts = np.divmod(first, max(ids.shape[1], 1))
    return Runs(rows, starts, starts + lengths, ids.ravel()[first])


def measure_segments(ids: np.ndarray) -> dict[int, tuple[int, tuple[int, int, int, int]]]:
    """Measure each segment of a map.

    Args:
        ids: (H, W) integers, 0 where there is no segment.

    Returns:
        id -> (pixels, (x, y, width, height)), in ascending order of ids.
    """
    runs = row_runs(ids)
    present, inverse = np.unique(runs.values, return_inverse=True)
    count = len(present)
    areas = np.zeros(count, np.int64)
    np.add.at(areas, inverse, runs.stops - runs.starts)
    left, top = np.full(count, ids.shape[1]), np.full(count, ids.shape[0])
    right, bottom = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.minimum.at(left, inverse, runs.starts)
    np.minimum.at(top, inverse, runs.rows)
    np.maximum.at(right, inverse, runs.stops)
    np.maximum.at(bottom, inverse, runs.rows + 1)
    boxes = np.stack([left, top, right - left, bottom - top], axis=1).tolist()
    return {
        value: (area, (box[0], box[1], box[2], box[3]))
        for value, area, box in zip(present.tolist(), areas.tolist(), boxes, strict=True)
        if value != VOID_ID
    }


def describe_segments(
    ids: np.ndarray, category_ids: Mapping[int, int], crowds: Collection[int] = ()
) -> SegmentedImage:
    """Measure the segments of a map and say what each is.

    Args:
        ids: (H, W) integers, 0 where there is no segment.
        category_ids: segment id -> category id, for each id in the map; others are left out.
        crowds: ids of the segments that are crowds.

    Raises:
        InputError: the map holds a segment that `category_ids` does not.
    """
    segments = []
    for value, (area, bbox) in measure_segments(ids).items():
        if value not in category_ids:
            raise InputError(f"the map holds segment {value}, which has no category; name it")
        segments.append(Segment(value, category_ids[value], area, bbox, value in crowds))
    return SegmentedImage(np.ascontiguousarray(ids, np.int32), tuple(segments))


def find_faults(image: SegmentedImage, table: CategoryTable) -> list[str]:
    """List what is wrong between a map, its list of segments and the category table.

    Returns:
        One clause per fault: an id in the map only or in the list only or there twice, a
        category that the table does not have, an area or box that the map does not confirm, stuff
        in two segments. Empty when all is well.
    """
    measured = measure_segments(image.ids)
    listed = [segment.id for segment in image.segments]
    faults = [f"segment {value} is in the map but not listed" for value in measured.keys() - listed]
    faults += [
        f"segment {value} is listed {count} times"
        for value, count in Counter(listed).items()
        if count > 1
    ]
    stuff: dict[int, int] = {}
    for segment in image.segments:
        if segment.category_id not in table:
            faults.append(
                f"segment {segment.id} has category {segment.category_id}, which is not in the "
                "category table"
            )
        elif not table.by_id(segment.category_id).is_thing and not segment.is_crowd:
            other = stuff.setdefault(segment.category_id, segment.id)
            if other != segment.id:
                faults.append(
                    f"segments {other} and {segment.id} both are "
                    f"{table.by_id(segment.category_id).name!r}, which is stuff"
                )
        if segment.id not in measured:
            faults.append(f"segment {segment.id} is listed but not in the map")
            continue
        area, bbox = measured[segment.id]
        if segment.area != area:
            faults.append(
                f"segment {segment.id} has {area} pixels but its area says {segment.area}"
            )
        if tuple(segment.bbox) != bbox:
            faults.append(f"segment {segment.id} fills the box {bbox} but says {segment.bbox}")
    return faults
