"""COCO's panoptic JSON: images, their segments, categories; nothing a file says gets lost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.faults import first_fault
from seg_assets.data.panoptic.segments import Segment
from seg_assets.errors import InputError

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class PanopticImage:
    """One image and its segments.

    Attributes:
        id: number of the image, unique in the file.
        file_name: of the picture, with extension.
        height, width: in pixels.
        map_name: file name of the panoptic PNG; "" where the image has no annotation.
        segments: in the file's order.
        extra: other keys of the image's entry (COCO has licence, date, URLs).
    """

    id: int
    file_name: str
    height: int
    width: int
    map_name: str
    segments: tuple[Segment, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def image_json(self) -> dict[str, Any]:
        """Return COCO's entry of `images`."""
        return {
            "id": self.id,
            "file_name": self.file_name,
            "height": self.height,
            "width": self.width,
            **self.extra,
        }

    def annotation_json(self) -> dict[str, Any]:
        """Return COCO's entry of `annotations`."""
        return {
            "image_id": self.id,
            "file_name": self.map_name,
            "segments_info": [segment.to_json() for segment in self.segments],
        }


@dataclass(frozen=True)
class PanopticFile:
    """A whole panoptic JSON.

    Attributes:
        images: in the file's order.
        categories: in the file's order, which is the training order.
        extra: other keys of the file (info, licenses).
    """

    images: tuple[PanopticImage, ...]
    categories: CategoryTable
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the file as plain values."""
        annotated = [image for image in self.images if image.map_name]
        return {
            **self.extra,
            "images": [image.image_json() for image in self.images],
            "annotations": [image.annotation_json() for image in annotated],
            "categories": self.categories.to_json(),
        }

    def encode(self) -> bytes:
        """Return the file's bytes; the same content gives the same bytes."""
        return json.dumps(self.to_json(), ensure_ascii=False).encode()


class _SegmentEntry(BaseModel):
    id: Annotated[int, Field(ge=1, lt=1 << 24)]
    category_id: int
    area: Annotated[int, Field(ge=0)]
    bbox: tuple[int, int, int, int]
    iscrowd: Annotated[int, Field(ge=0, le=1)] = 0


class _AnnotationEntry(BaseModel):
    image_id: int
    file_name: str
    segments_info: list[_SegmentEntry]


class _ImageEntry(BaseModel):
    model_config = ConfigDict(extra="allow")

    id: int
    file_name: str
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]


class _File(BaseModel):
    model_config = ConfigDict(extra="allow")

    images: list[_ImageEntry]
    annotations: list[_AnnotationEntry]
    categories: list[Any]


def parse_panoptic_json(data: bytes, where: str) -> PanopticFile:
    """Read a panoptic JSON.

    Args:
        data: the file.
        where: its name, for messages.

    Raises:
        InputError: not JSON, not the format, ids twice, or an annotation without its image. Whether
            areas and ids agree with the PNGs, `find_faults` says.
    """
    try:
        content = _File.model_validate_json(data)
    except ValidationError as error:
        raise InputError(
            f"{where} is no panoptic JSON: {first_fault(error)}; give COCO's panoptic format"
        ) from error
    annotations: dict[int, _AnnotationEntry] = {}
    for entry in content.annotations:
        if entry.image_id in annotations:
            raise InputError(f"{where} annotates image {entry.image_id} twice: remove one")
        annotations[entry.image_id] = entry
    images: dict[int, PanopticImage] = {}
    for entry in content.images:
        if entry.id in images:
            raise InputError(f"{where} lists image {entry.id} twice: remove one")
        annotation = annotations.pop(entry.id, None)
        images[entry.id] = PanopticImage(
            entry.id,
            entry.file_name,
            entry.height,
            entry.width,
            annotation.file_name if annotation else "",
            tuple(_segment(found) for found in annotation.segments_info) if annotation else (),
            dict(entry.model_extra or _NOTHING),
        )
    if annotations:
        stray = next(iter(annotations))
        raise InputError(f"{where} annotates image {stray}, which it does not list: add the image")
    return PanopticFile(
        tuple(images.values()),
        CategoryTable.from_json(content.categories, where),
        dict(content.model_extra or _NOTHING),
    )


def _segment(entry: _SegmentEntry) -> Segment:
    return Segment(entry.id, entry.category_id, entry.area, entry.bbox, bool(entry.iscrowd))
