"""The six ways in which `seg-assets prompt` asks SAM for masks, and how its coordinates are read.

The types are those of mindspore-lab's segment-anything demo (inference_with_prompts.py), whose
coordinates are fixed in the code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seg_assets.errors import InputError
from seg_assets.masks.prompts import Prompts

Point = tuple[float, float, int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class PromptType:
    """How many coordinates a type takes.

    Attributes:
        takes: The same in words, for an error.
        points: Fewest and most points.
        boxes: Fewest and most boxes.
    """

    takes: str
    points: tuple[int, float]
    boxes: tuple[int, float]

    def accepts(self, points: int, boxes: int) -> bool:
        """Whether so many points and boxes make prompts of this type."""
        fits = self.points[0] <= points <= self.points[1]
        return fits and self.boxes[0] <= boxes <= self.boxes[1]


_NONE, _ONE, _SOME = (0, 0), (1, 1), (1, float("inf"))

PROMPT_TYPES = {
    "point": PromptType("at least one --point, and no --box", _SOME, _NONE),
    "box": PromptType("one --box and no --point", _NONE, _ONE),
    "point_box": PromptType("one --box and at least one --point", _SOME, _ONE),
    "batch_point": PromptType("a --point for each object, and no --box", _SOME, _NONE),
    "batch_box": PromptType("a --box for each object, and no --point", _NONE, _SOME),
    "batch_point_box": PromptType("a --point and a --box for each object", _SOME, _SOME),
}


def likely_type(points: int, boxes: int) -> str:
    """The type that is meant where none is named: points of one object, boxes of one each."""
    if boxes == 0:
        return "point"
    if points == 0:
        return "box" if boxes == 1 else "batch_box"
    return "point_box" if boxes == 1 else "batch_point_box"


def parse_point(text: str) -> Point:
    """Read X,Y or X,Y,LABEL; the label is 1 (on the object) where it is left out.

    Raises:
        InputError: It has another form.
    """
    try:
        x, y, label = map(float, text.split(",") if text.count(",") > 1 else [*text.split(","), 1])
        if label not in (0, 1):
            raise ValueError(f"{label} is no label")
    except ValueError as error:
        raise InputError(
            f"--point {text}: write it as X,Y,LABEL in pixels, with the label 1 for a point on the "
            "object and 0 for one beside it"
        ) from error
    return x, y, int(label)


def parse_box(text: str) -> Box:
    """Read X0,Y0,X1,Y1.

    Raises:
        InputError: It has another form.
    """
    try:
        x0, y0, x1, y1 = map(float, text.split(","))
    except ValueError as error:
        raise InputError(
            f"--box {text}: write it as X0,Y0,X1,Y1 in pixels, left, top, right and bottom"
        ) from error
    return x0, y0, x1, y1


def build_prompts(name: str, points: Sequence[Point], boxes: Sequence[Box]) -> Prompts:
    """Make the prompts of a type; of type "point", all points belong to one object.

    Args:
        name: Of the type.
        points: x, y, label in pixels.
        boxes: x0, y0, x1, y1 in pixels.

    Raises:
        InputError: The type takes other numbers of points and boxes, or a value is wrong.
    """
    kind = PROMPT_TYPES[name]
    pairs = name != "batch_point_box" or len(points) == len(boxes)
    if not kind.accepts(len(points), len(boxes)) or not pairs:
        raise InputError(
            f"--type {name} takes {kind.takes}; got {len(points)} --point and {len(boxes)} --box"
        )
    # A batch has one point per object, the other types one object with all points.
    shape = (len(points), 1) if name.startswith("batch_") else (1, len(points))
    values = np.array(points, np.float64)
    return Prompts(
        points=values[:, :2].reshape(*shape, 2) if points else None,
        labels=values[:, 2].reshape(shape) if points else None,
        boxes=np.array(boxes, np.float64) if boxes else None,
    )
