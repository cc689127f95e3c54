"""Grounding JSON in RefCOCO's style: segments of an image and sentences that mean them."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from seg_assets.data.panoptic.faults import first_fault
from seg_assets.data.panoptic.polygons import MIN_NUMBERS, Polygon, box_polygon, fill_polygons
from seg_assets.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Referral:
    """A part of an image and the sentences that mean it.

    Attributes:
        polygons: x1, y1, x2, y2, ... in pixels each; together they outline the part. At least 8
            numbers each (loaders pass over shorter ones).
        sentences: at least one.
        segment_id: the segment of the panoptic map that it is; None where it is not one.
        category_id: id in the category table; None where it is not said.
        area: pixels; 0 where it is not said.
        bbox: x, y, width, height; None where it is not said.
    """

    polygons: tuple[Polygon, ...]
    sentences: tuple[str, ...]
    segment_id: int | None = None
    category_id: int | None = None
    area: float = 0
    bbox: tuple[float, float, float, float] | None = None

    def mask(self, height: int, width: int) -> np.ndarray:
        """Fill the polygons: (H, W) bool."""
        return fill_polygons(self.polygons, height, width)


def referral_json(referral: Referral, image_id: int, number: int) -> dict[str, Any]:
    """Return one entry of `annotations`.

    Args:
        referral: the part and its sentences.
        image_id: the image.
        number: id of the entry, unique in the file.
    """
    return {
        "id": number,
        "image_id": image_id,
        "category_id": referral.category_id,
        "ann_id": referral.segment_id,
        "segmentation": [list(polygon) for polygon in referral.polygons],
        "area": referral.area,
        "bbox": None if referral.bbox is None else list(referral.bbox),
        "iscrowd": 0,
        "sentences": [
            {"raw": text, "sent": text, "tokens": text.split()} for text in referral.sentences
        ],
    }


class _Sentence(BaseModel):
    raw: str


class _Annotation(BaseModel):
    image_id: int
    segmentation: list[list[float]] = Field(default_factory=list)
    sentences: list[_Sentence]
    ann_id: int | None = None
    category_id: int | None = None
    area: float | None = None
    bbox: tuple[float, float, float, float] | None = None


class _File(BaseModel):
    annotations: list[_Annotation]


def parse_grounding_json(data: bytes, where: str) -> dict[int, tuple[Referral, ...]]:
    """Read a grounding JSON.

    Polygons of fewer than 8 numbers are left out; a part that has no other is its box, and one
    that has no box either is left out. An image all of whose parts are left out is not in the
    result, and trains on class names.

    Args:
        data: the file.
        where: its name, for messages.

    Returns:
        image id -> what its sentences mean, in the file's order.

    Raises:
        InputError: not JSON or not the format.
    """
    try:
        content = _File.model_validate_json(data)
    except ValidationError as error:
        raise InputError(
            f"{where} is no grounding JSON: {first_fault(error)}; give annotations with image_id, "
            "segmentation and sentences"
        ) from error
    found: dict[int, list[Referral]] = {}
    dropped = 0
    for entry in content.annotations:
        polygons = [tuple(p) for p in entry.segmentation if len(p) >= MIN_NUMBERS]
        if not polygons and entry.bbox is not None and min(entry.bbox[2:]) > 0:
            polygons = [box_polygon(entry.bbox)]
        sentences = tuple(s.raw.strip() for s in entry.sentences if s.raw.strip())
        if not polygons or not sentences:
            dropped += 1
            continue
        found.setdefault(entry.image_id, []).append(
            Referral(
                tuple(polygons),
                sentences,
                entry.ann_id,
                entry.category_id,
                entry.area or 0,
                entry.bbox,
            )
        )
    if dropped:
        logger.warning(
            "%s has %d annotations without a usable outline or without a sentence: left out",
            where,
            dropped,
        )
    return {image_id: tuple(referrals) for image_id, referrals in found.items()}
