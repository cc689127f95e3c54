"""One automatic mask and what is known about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seg_assets.masks.rle import Rle

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class MaskRecord:
    """A mask in the terms of SA-1B's annotations.

    Attributes:
        rle: The mask at the image's size.
        bbox: Box x, y, w, h in pixels. As in SA-1B, w and h are the distances from the first to the
            last column and row: one less than the number of columns and rows.
        area: Pixels of the mask.
        predicted_iou: The mask's IoU with the object, as the model guesses it.
        stability_score: IoU of the mask cut at a higher and at a lower threshold, 0 to 1.
        point_coords: The points x, y that prompted the mask, in pixels of the image.
        crop_box: Box x, y, w, h of the crop in which the mask was found, in pixels.
    """

    rle: Rle
    bbox: Box
    area: int
    predicted_iou: float
    stability_score: float
    point_coords: tuple[tuple[float, float], ...]
    crop_box: Box

    def to_row(self, image_id: str, mask_id: int) -> dict[str, Any]:
        """The record as a row of the `sam_masks` asset."""
        return {
            "image_id": image_id,
            "mask_id": mask_id,
            "height": self.rle.height,
            "width": self.rle.width,
            "rle_counts": self.rle.counts,
            "bbox": list(self.bbox),
            "area": self.area,
            "predicted_iou": self.predicted_iou,
            "stability_score": self.stability_score,
            "point_coords": [list(point) for point in self.point_coords],
            "crop_box": list(self.crop_box),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "MaskRecord":
        """The record in a row of the `sam_masks` asset."""
        return cls(
            rle=Rle(row["height"], row["width"], row["rle_counts"]),
            bbox=_box(row["bbox"]),
            area=row["area"],
            predicted_iou=row["predicted_iou"],
            stability_score=row["stability_score"],
            point_coords=tuple((x, y) for x, y in row["point_coords"]),
            crop_box=_box(row["crop_box"]),
        )


def _box(values: list[float]) -> Box:
    x, y, width, height = (int(value) for value in values)
    return x, y, width, height
