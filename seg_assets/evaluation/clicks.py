"""1-IoU: each true object is clicked once, and the model's answers are compared with it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from seg_assets.data.ground_truth.image_truth import ImageTruth
from seg_assets.errors import ComparisonError
from seg_assets.masks.predictor import PromptPredictor
from seg_assets.masks.prompts import Prompts
from seg_assets.metrics.click_iou import ClickIou, click_rows

OBJECTS_AT_ONCE = 16  # whose masks are in memory at full size


@dataclass(frozen=True)
class ClickedObject:
    """One true object and what the model answered to a click on it.

    Attributes:
        object_id: id of its segment.
        class_id: in the ground truth's table.
        area: pixels.
        x: column of the click.
        y: row of the click.
        chosen_iou: IoU of the mask that the model trusts most, 0 to 1.
        best_iou: IoU of the best of its masks.
    """

    object_id: int
    class_id: int
    area: int
    x: int
    y: int
    chosen_iou: float
    best_iou: float

    def to_row(self, image_id: str) -> dict[str, Any]:
        """One row of a table."""
        return {"image_id": image_id, **vars(self)}


def click_objects(
    predictor: PromptPredictor, image: np.ndarray, truth: ImageTruth, where: str
) -> list[ClickedObject]:
    """Click once on each segment, thing or stuff, but no crowd; by ascending id.

    Args:
        predictor: answers with its candidates for one point.
        image: (H, W, 3) uint8 RGB.
        truth: of the image, with segments.
        where: the image, for messages.

    Raises:
        ComparisonError: the truth knows no segments, or has another size than the image.
    """
    ids = truth.segment_ids
    if ids is None:
        raise ComparisonError(
            "no objects", f"the ground truth of {where} knows classes only: clicks need objects"
        )
    if ids.shape != image.shape[:2]:
        raise ComparisonError(
            "other size",
            f"the ground truth of {where} is {ids.shape} and its image {image.shape[:2]}: give "
            "the truth of this image",
        )
    chosen = sorted(truth.segment_classes.keys() - truth.crowds)
    if not chosen:
        return []
    embedding = predictor.embed(image)
    found = []
    for start in range(0, len(chosen), OBJECTS_AT_ONCE):
        batch = chosen[start : start + OBJECTS_AT_ONCE]
        objects = [ids == segment_id for segment_id in batch]
        clicks = [innermost_pixel(mask) for mask in objects]
        points = np.array(clicks, np.float64)[:, None] + 0.5  # the middle of the pixel
        prompts = Prompts(points=points, labels=np.ones((len(batch), 1), np.int64))
        answer = predictor.predict(embedding, prompts, multimask=True)
        ious = np.array(
            [
                [_iou(mask, candidate) for candidate in candidates]
                for mask, candidates in zip(objects, answer.masks, strict=True)
            ]
        )
        rows = click_rows(ious, answer.predicted_ious)
        found += [
            ClickedObject(
                segment_id,
                truth.segment_classes[segment_id],
                int(mask.sum()),
                *click,
                float(chosen_iou),
                float(best_iou),
            )
            for segment_id, mask, click, (chosen_iou, best_iou) in zip(
                batch, objects, clicks, rows, strict=True
            )
        ]
    return found


def innermost_pixel(mask: np.ndarray) -> tuple[int, int]:
    """Column and row of the pixel that is farthest from what is not the object.

    The image's border counts as outside. Of pixels that are equally far the first in reading order.

    Args:
        mask: (H, W) bool, not empty.
    """
    import cv2  # noqa: PLC0415  # a second, for those who click only

    padded = np.pad(mask, 1).astype(np.uint8)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, column = divmod(int(inside.argmax()), mask.shape[1])
    return column, row


def sum_clicks(objects: list[ClickedObject]) -> ClickIou:
    """Add objects up."""
    return ClickIou(
        len(objects),
        float(sum(item.chosen_iou for item in objects)),
        float(sum(item.best_iou for item in objects)),
    )


def _iou(mask: np.ndarray, other: np.ndarray) -> float:
    return float((mask & other).sum() / max((mask | other).sum(), 1))
