"""What SAM is told about the objects that it shall cut out: points, boxes, earlier masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from seg_assets.errors import InputError

# How far a box may stick out of the image, in pixels: annotations are often rounded that much.
BOX_SLACK = 1.0


@dataclass(frozen=True, eq=False, init=False)
class Prompts:
    """The prompts of N objects of one image; all objects have the same kinds of prompt.

    Coordinates are pixels of the image as it was given, x to the right and y down. For a
    single object `Prompts.of_object` is shorter.

    Attributes:
        points: x, y of P points per object, (N, P, 2) float64.
        labels: 1 for a point on the object, 0 for one beside it, (N, P) int64.
        boxes: x0, y0, x1, y1 of a box around each object, (N, 4) float64.
        mask_logits: Low-resolution logits of an earlier prediction, (N, h, w) float32.
    """

    points: np.ndarray | None
    labels: np.ndarray | None
    boxes: np.ndarray | None
    mask_logits: np.ndarray | None

    def __init__(
        self,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        boxes: ArrayLike | None = None,
        mask_logits: ArrayLike | None = None,
    ) -> None:
        """Take arrays or lists of the attributes' shapes.

        Raises:
            InputError: There is no prompt, or arrays do not have these shapes and values.
        """
        checked = {
            "points": _array("points", points, np.float64, "(N, P, 2)", last=2),
            "boxes": _array("boxes", boxes, np.float64, "(N, 4)", last=4),
            "mask_logits": _array("mask logits", mask_logits, np.float32, "(N, h, w)"),
        }
        checked["labels"] = _check_labels(labels, checked["points"])
        for name, values in checked.items():
            object.__setattr__(self, name, values)  # the class is frozen
        counts = {
            name.replace("_", " "): len(values)
            for name, values in checked.items()
            if values is not None
        }
        if not counts:
            raise InputError("there is no prompt: give points, boxes or the logits of a mask")
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{name} of {count}" for name, count in counts.items())
            raise InputError(f"each object needs all kinds of prompt, but there are {told} objects")
        if self.boxes is not None:
            _check_box_order(self.boxes)

    @classmethod
    def of_object(
        cls,
        *,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_logits: ArrayLike | None = None,
    ) -> "Prompts":
        """The prompts of one object: points (P, 2), labels (P,), box (4,), mask logits (h, w).

        Raises:
            InputError: As for the class.
        """
        given = (points, labels, box, mask_logits)
        try:
            return cls(*(None if values is None else np.asarray(values)[None] for values in given))
        except ValueError as error:
            raise InputError(f"a prompt's lists must be of equal lengths ({error})") from error

    def __len__(self) -> int:
        """Number of objects."""
        return next(
            len(values)
            for values in (self.points, self.boxes, self.mask_logits)
            if values is not None
        )

    def __getitem__(self, objects: slice) -> "Prompts":
        """The prompts of some of the objects."""
        return Prompts(
            *(
                None if values is None else values[objects]
                for values in (self.points, self.labels, self.boxes, self.mask_logits)
            )
        )

    def check_inside(self, height: int, width: int) -> None:
        """Refuse coordinates that an image of this size does not have.

        Points may lie on the image's edges, boxes may stick out by `BOX_SLACK` pixels.

        Raises:
            InputError: A point or a box is outside.
        """
        size = np.array([width, height])
        if self.points is not None:
            outside = ((self.points < 0) | (self.points > size)).any(-1)
            if outside.any():
                point = _numbers(self.points[outside][0])
                raise InputError(
                    f"the point {point} lies outside the image, which is {width} x {height} "
                    "pixels (width x height): give x and y in pixels of the image"
                )
        if self.boxes is not None:
            corners = self.boxes.reshape(-1, 2, 2)
            outside = ((corners < -BOX_SLACK) | (corners > size + BOX_SLACK)).any((1, 2))
            if outside.any():
                box = _numbers(self.boxes[outside][0])
                raise InputError(
                    f"the box {box} sticks out of the image, which is {width} x {height} pixels "
                    "(width x height): cut it off at the image's edges"
                )


def _array(
    name: str, values: Any, dtype: type[np.floating], shape: str, last: int | None = None
) -> np.ndarray | None:
    """Values as an array of finite numbers whose shape has the axes that `shape` names."""
    if values is None:
        return None
    try:
        array = np.asarray(values, dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers of shape {shape} ({error})") from error
    axes = shape.count(",") + 1
    if array.ndim != axes or (last is not None and array.shape[-1] != last) or 0 in array.shape[1:]:
        raise InputError(f"{name} must have the shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} hold a value that is no finite number: mend or leave it out")
    return array


def _check_labels(values: Any, points: np.ndarray | None) -> np.ndarray | None:
    """Labels of the points as int64."""
    if (values is None) != (points is None):
        raise InputError("points and labels belong together: give both or neither")
    if values is None or points is None:
        return None
    try:
        labels = np.asarray(values)
    except ValueError as error:
        raise InputError(f"labels must be numbers of shape (N, P) ({error})") from error
    if labels.shape != points.shape[:2]:
        raise InputError(
            f"points of shape {points.shape} need labels of shape {points.shape[:2]}, "
            f"got {labels.shape}"
        )
    if not np.isin(labels, (0, 1)).all():
        raise InputError("a point's label must be 1 (on the object) or 0 (beside it)")
    return labels.astype(np.int64)


def _check_box_order(boxes: np.ndarray) -> None:
    wrong = (boxes[:, :2] >= boxes[:, 2:]).any(1)
    if wrong.any():
        raise InputError(
            f"the box {_numbers(boxes[wrong][0])} is empty or its corners are swapped: "
            "give x0,y0,x1,y1 with x0 < x1 and y0 < y1"
        )


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    return ",".join(f"{value:g}" for value in values)
