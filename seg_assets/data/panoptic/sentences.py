"""What can be said about the segments of an image so that only one of them is meant."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from seg_assets.data.panoptic.categories import VOID_ID, CategoryTable
from seg_assets.data.panoptic.faults import first_fault
from seg_assets.data.panoptic.segments import Segment, SegmentedImage
from seg_assets.errors import InputError

_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
]

_PLACES = {
    # third of the image, across and down, in which the middle of the box lies
    (0, 0): "at the top left",
    (1, 0): "at the top",
    (2, 0): "at the top right",
    (0, 1): "on the left",
    (1, 1): "in the middle",
    (2, 1): "on the right",
    (0, 2): "at the bottom left",
    (1, 2): "at the bottom",
    (2, 2): "at the bottom right",
}

CLEARLY = 1.5
"""So many times larger than the next one, a thing is called the largest."""


def spoken_name(name: str) -> str:
    """Turn a class name into what people say: "wall-other-merged" and "TrafficSign" into words."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = re.sub(r"-(other|merged|stuff)\b", "", words)
    return re.sub(r"[\s_-]+", " ", words).strip()


def describe(
    segments: Sequence[Segment],
    table: CategoryTable,
    size: tuple[int, int],
    *,
    positions: bool = True,
) -> dict[int, tuple[str, ...]]:
    """Find sentences for segments.

    Stuff, and the only thing of its category, is "the {name}". Of several things each is told by
    its order from the left, by its place if no other of its category shares it, and as the largest
    if it is. Crowds are neither described nor counted.

    Args:
        segments: those of one image.
        table: the categories.
        size: height and width of the image.
        positions: whether to say where things are; without, things of which there are several
            share the sentence "the {name}".

    Returns:
        segment id -> sentences. With positions no two segments that are no crowds share one.
    """
    groups: dict[int, list[Segment]] = defaultdict(list)
    for segment in segments:
        if not segment.is_crowd:
            groups[segment.category_id].append(segment)
    sentences: dict[int, tuple[str, ...]] = {}
    for category_id, group in groups.items():
        category = table.by_id(category_id)
        name = spoken_name(category.name)
        if not positions or not category.is_thing:
            sentences |= {segment.id: (f"the {name}",) for segment in group}
            continue
        ordered = sorted(group, key=_middle)
        places = [_PLACES[_third(segment, size)] for segment in ordered]
        areas = sorted((segment.area for segment in group), reverse=True)
        for rank, (segment, place) in enumerate(zip(ordered, places, strict=True)):
            found = [f"the {name}"] if len(group) == 1 else _orders(rank, len(group), name)
            if places.count(place) == 1:
                found.append(f"the {name} {place}")
            if len(areas) > 1 and segment.area == areas[0] >= CLEARLY * areas[1]:
                found.append(f"the largest {name}")
            sentences[segment.id] = tuple(found)
    return sentences


def _orders(rank: int, count: int, name: str) -> list[str]:
    if rank < len(_ORDINALS):
        ordinal = _ORDINALS[rank]
    else:
        ending = {1: "st", 2: "nd", 3: "rd"}.get((rank + 1) % 10, "th")
        teen = (rank + 1) % 100 in (11, 12, 13)
        ordinal = f"{rank + 1}{'th' if teen else ending}"
    found = [f"the {ordinal} {name} from the left"]
    if rank == 0:
        found.append(f"the leftmost {name}")
    if rank == count - 1:
        found.append(f"the rightmost {name}")
    return found


def _middle(segment: Segment) -> tuple[float, float, int]:
    x, y, width, height = segment.bbox
    return x + width / 2, y + height / 2, segment.id


def _third(segment: Segment, size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    across, down, _ = _middle(segment)
    return min(int(3 * across / width), 2), min(int(3 * down / height), 2)


@dataclass(frozen=True)
class UserSentences:
    """A user's own sentences for the segment at a pixel.

    Attributes:
        point: column and row of a pixel of the segment.
        sentences: at least one.
    """

    point: tuple[int, int]
    sentences: tuple[str, ...]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    point: tuple[int, int]
    sentences: list[str] = Field(min_length=1)


_ENTRIES = TypeAdapter(dict[str, list[_Entry]])


def read_user_sentences(data: bytes, where: str) -> dict[str, tuple[UserSentences, ...]]:
    """Read sentences from JSON: {image id: [{"point": [x, y], "sentences": ["..."]}]}.

    Raises:
        InputError: not JSON or not that form.
    """
    try:
        content = _ENTRIES.validate_json(data)
    except ValidationError as error:
        raise InputError(
            f"{where} holds no sentences: {first_fault(error)}; write "
            f"{json.dumps({'image id': [{'point': [40, 30], 'sentences': ['the red car']}]})}"
        ) from error
    return {
        image: tuple(UserSentences(entry.point, tuple(entry.sentences)) for entry in entries)
        for image, entries in content.items()
    }


def assign_user_sentences(
    segmented: SegmentedImage, user: Sequence[UserSentences], image: str
) -> Mapping[int, tuple[str, ...]]:
    """Give a user's sentences to the segments under their points.

    Returns:
        segment id -> sentences.

    Raises:
        InputError: a point lies outside the image or where there is no segment.
    """
    height, width = segmented.ids.shape
    found: dict[int, tuple[str, ...]] = {}
    for entry in user:
        x, y = entry.point
        inside = 0 <= x < width and 0 <= y < height
        segment_id = int(np.int64(segmented.ids[y, x])) if inside else VOID_ID
        if segment_id == VOID_ID:
            place = "has no segment" if inside else f"is outside the {width} x {height} image"
            raise InputError(
                f"the sentence {entry.sentences[0]!r} of {image} is for the pixel ({x}, {y}), "
                f"which {place}; name a pixel of what it means"
            )
        found[segment_id] = found.get(segment_id, ()) + entry.sentences
    return found
