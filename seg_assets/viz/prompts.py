"""Prompts and the masks that they gave, drawn on their image."""

from collections.abc import Sequence
from functools import cache
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from seg_assets.errors import InputError
from seg_assets.viz.overlay import blend_colors, find_contours

POSITIVE, NEGATIVE = (46, 204, 64), (235, 40, 40)
BOX = (46, 204, 64)
EDGE = (255, 255, 255)
# Masks, object by object: neither green nor red, which belong to the prompts.
MASK_COLORS = np.array(
    [
        (30, 144, 255),
        (255, 140, 0),
        (160, 60, 220),
        (0, 210, 215),
        (245, 215, 40),
        (240, 110, 190),
        (40, 70, 180),
        (165, 105, 60),
    ],
    np.uint8,
)

SMOOTHING = 4  # stars are drawn this many times larger, then scaled down
INNER_RADIUS = 0.45  # of a star's outer one


def draw_prompted_masks(
    image: np.ndarray,
    masks: np.ndarray,
    points: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
    alpha: float = 0.5,
) -> np.ndarray:
    """Blend masks over an image, and draw boxes as outlines and points as stars on top.

    A positive point is a green star, a negative one a red star. Where masks overlap the smaller one
    is seen. Stars and lines grow with the image.

    Args:
        image: (H, W, 3) uint8 RGB.
        masks: (N, H, W) bool, one per object, each in a colour of its own (of eight).
        points: x, y in pixels, (K, 2).
        labels: 1 = positive, 0 = negative, (K,).
        boxes: x0, y0, x1, y1 in pixels, (B, 4).
        alpha: Opacity of the masks, 0..1.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: Image and masks differ in size, or points and labels in number.
    """
    if image.ndim != 3 or image.shape[2] != 3 or masks.shape[1:] != image.shape[:2]:
        raise InputError(
            f"masks of shape {masks.shape} do not lie on an image of shape {image.shape}: "
            "give (N, H, W) masks and an (H, W, 3) image of the same size"
        )
    points = np.zeros((0, 2)) if points is None else points
    labels = np.zeros(0, np.int64) if labels is None else labels
    if len(points) != len(labels):
        raise InputError(f"{len(points)} points need as many labels, got {len(labels)}")

    picture = Image.fromarray(_blend_masks(image, masks, alpha))
    side = max(picture.size)
    for box in () if boxes is None else boxes:
        _draw_box(picture, box, width=max(round(side / 400), 1))
    radius = min(max(round(side / 50), 5), 60)
    for point, label in zip(points, labels, strict=True):
        _draw_star(picture, point, radius, POSITIVE if label == 1 else NEGATIVE)
    return np.array(picture)


def _blend_masks(image: np.ndarray, masks: np.ndarray, alpha: float) -> np.ndarray:
    """Paint the masks in their colours, larger ones first."""
    objects = np.zeros(image.shape[:2], np.int32)  # 0 = no mask, else index + 1
    areas = [int(mask.sum()) for mask in masks]
    for index in sorted(range(len(masks)), key=lambda index: -areas[index]):
        objects[masks[index]] = index + 1
    colors = MASK_COLORS[(objects - 1) % len(MASK_COLORS)]
    return blend_colors(image, colors, objects > 0, find_contours(objects), alpha)


def _draw_box(picture: Image.Image, box: Sequence[float] | np.ndarray, width: int) -> None:
    """An outline whose middle runs along the box."""
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    low, high = width // 2, (width - 1) // 2
    corners = (x0 - low, y0 - low, x1 + high, y1 + high)
    ImageDraw.Draw(picture).rectangle(corners, outline=BOX, width=width)


def _draw_star(
    picture: Image.Image,
    point: Sequence[float] | np.ndarray,
    radius: int,
    color: tuple[int, int, int],
) -> None:
    """A five-pointed star with a light edge; at the picture's edges it is cut off."""
    tile = _star(radius, color)
    x, y = (round(float(value)) - tile.width // 2 for value in point)
    picture.paste(tile, (x, y), tile)


@cache
def _star(radius: int, color: tuple[int, int, int]) -> Image.Image:
    """A star as an RGBA tile with smooth edges, its centre in the middle of the tile."""
    side = 2 * radius + 1
    large = Image.new("RGBA", (side * SMOOTHING, side * SMOOTHING), (*EDGE, 0))
    draw = ImageDraw.Draw(large)
    centre = side * SMOOTHING / 2
    for share, fill in ((1.0, EDGE), (0.72, color)):
        corners = []
        for step in range(10):
            reach = radius * SMOOTHING * share * (1.0 if step % 2 == 0 else INNER_RADIUS)
            angle = step * pi / 5
            corners.append((centre + reach * sin(angle), centre - reach * cos(angle)))
        draw.polygon(corners, fill=fill)
    return large.resize((side, side), Image.Resampling.BOX)
