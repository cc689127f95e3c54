"""From a drawn scene to what a small SAM learns from it: dense targets, prompts and their masks."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seg_assets.data.instance_image import mask_box
from seg_assets.training.demo.drawn_scenes import DrawnScene

CLASSES = 134
"""COCO's 133 and, last, "nothing there"."""
FOREGROUND, TOP_LEFT, BOTTOM_RIGHT = 1, 2, 3
_SMALLEST_OBJECT = 16  # cells of the low-resolution mask
_SMALLEST_SHARE = 0.004  # of the image, for an object to be measured
_SMALLEST_CROP = 0.6
_CONTRAST, _BRIGHTNESS = 0.15, 12.0
_BOX_NOISE, _BOX_NOISE_PIXELS = 0.05, 6.0


@dataclass(frozen=True)
class SceneSample:
    """One image of S x S pixels, whose masks have L x L cells, with P prompts.

    Attributes:
        image: (3, S, S) float32, 0..255.
        classes: (L, L) int64, below `CLASSES`.
        boxes: (4, L, L) float32, the box x0, y0, x1, y1 of the object at a cell, over L.
        weights: (L, L) float32, mean 1: cells of small objects weigh more.
        coordinates: (P, 2, 2) float32, two x, y in pixels: a box's corners, or one point twice.
        labels: (P, 2) int64, the kinds of the points.
        masks: (P, L, L) float32, the share of a cell that the prompted object covers.
    """

    image: Tensor
    classes: Tensor
    boxes: Tensor
    weights: Tensor
    coordinates: Tensor
    labels: Tensor
    masks: Tensor


def varied(scene: DrawnScene, rng: np.random.Generator) -> DrawnScene:
    """The scene mirrored, cut and tinted by chance, at the same size."""
    image, labels, objects = scene.image, scene.label_map, scene.instance_map
    size = len(image)
    if rng.random() < 0.5:
        image, labels, objects = image[:, ::-1], labels[:, ::-1], objects[:, ::-1]
    if rng.random() < 0.5:
        side = int(size * rng.uniform(_SMALLEST_CROP, 1))
        y, x = rng.integers(0, size - side + 1, 2)
        cells = np.arange(size) * side // size
        image = resized(image[y : y + side, x : x + side], size)
        labels, objects = (m[y + cells][:, x + cells] for m in (labels, objects))
    tint = rng.uniform(1 - _CONTRAST, 1 + _CONTRAST, 3)
    shade = rng.uniform(-_BRIGHTNESS, _BRIGHTNESS)
    image = np.clip(image * tint + shade, 0, 255).astype(np.uint8)
    return DrawnScene(image, np.ascontiguousarray(labels), np.ascontiguousarray(objects))


def make_sample(
    scene: DrawnScene, size: int, cells: int, prompts: int, rng: np.random.Generator
) -> SceneSample:
    """Targets and prompts of one scene.

    Three of four prompts are points, half of them uniform over the image, as a grid of points is,
    and half uniform over the objects; the fourth is an object's box with noise.

    Args:
        scene: Of any square size.
        size: Pixels a side of the model's input.
        cells: Cells a side of its low-resolution masks; a divisor of `size`.
        prompts: How many.
        rng: Source of chance.
    """
    classes, coarse = (_nearest(m, cells) for m in (scene.label_map, scene.instance_map))
    fine = _nearest(scene.instance_map, size)
    boxes, areas = _boxes(coarse)
    numbers = np.flatnonzero(areas >= _SMALLEST_OBJECT)
    numbers = numbers[numbers > 0]
    if not len(numbers):
        numbers = np.array([coarse[cells // 2, cells // 2]])
    weights = areas[coarse] ** -0.5
    coordinates, labels, asked = _draw_prompts(fine, numbers, prompts, rng)
    pixels = size // cells
    masks = (fine == asked[:, None, None]).reshape(prompts, cells, pixels, cells, pixels)
    return SceneSample(
        image=torch.from_numpy(resized(scene.image, size)).permute(2, 0, 1).float(),
        classes=torch.from_numpy(np.minimum(classes, CLASSES - 1).astype(np.int64)),
        boxes=torch.from_numpy(boxes[coarse] / cells).permute(2, 0, 1),
        weights=torch.from_numpy((weights / weights.mean()).astype(np.float32)),
        coordinates=torch.from_numpy(coordinates),
        labels=torch.from_numpy(labels),
        masks=torch.from_numpy(masks.mean((2, 4), dtype=np.float32)),
    )


@dataclass(frozen=True)
class ObjectPrompts:
    """The objects of one held-out scene of S x S pixels, and how to ask for each of the N.

    Attributes:
        image: (3, S, S) float32, 0..255.
        masks: (N, S, S) bool.
        points: (N, 2, 2) float32, the innermost pixel's x, y, twice.
        boxes: (N, 2, 2) float32, corners.
    """

    image: Tensor
    masks: Tensor
    points: Tensor
    boxes: Tensor


def object_prompts(scene: DrawnScene, size: int) -> ObjectPrompts:
    """Every object of at least 0.4 % of the image."""
    fine = _nearest(scene.instance_map, size)
    areas = np.bincount(fine.ravel())
    areas[0] = 0
    masks = fine == np.flatnonzero(areas >= _SMALLEST_SHARE * fine.size)[:, None, None]
    points = [np.tile(_innermost(mask), (2, 1)) for mask in masks]
    boxes = [box_of(mask).reshape(2, 2) for mask in masks]
    return ObjectPrompts(
        image=torch.from_numpy(resized(scene.image, size)).permute(2, 0, 1).float(),
        masks=torch.from_numpy(masks),
        points=torch.from_numpy(np.array(points, dtype=np.float32)),
        boxes=torch.from_numpy(np.array(boxes, dtype=np.float32)),
    )


def _innermost(mask: np.ndarray) -> np.ndarray:
    """x, y of the pixel farthest from the outside."""
    distance = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(distance.argmax(), distance.shape)
    return np.array([x, y], dtype=np.float32)


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (size, size, 3), as `embed_image` scales."""
    scaled = Image.fromarray(np.ascontiguousarray(image))
    return np.array(scaled.resize((size, size), Image.Resampling.BILINEAR))


def box_of(mask: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 of a mask (H, W) that is not empty; the ends are exclusive."""
    return np.array(mask_box(mask), dtype=np.float32)


def _nearest(ids: np.ndarray, size: int) -> np.ndarray:
    cells = (np.arange(size) * 2 + 1) * len(ids) // (2 * size)
    return ids[cells][:, cells]


def _boxes(objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per object number the box (256, 4) float32 in cells, and the area (256,) in cells."""
    areas = np.bincount(objects.ravel(), minlength=256).astype(np.float32)
    boxes = np.zeros((256, 4), dtype=np.float32)
    for number in np.flatnonzero(areas):
        boxes[number] = box_of(objects == number)
    return boxes, areas


def _draw_prompts(
    objects: np.ndarray, numbers: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    coordinates = np.zeros((count, 2, 2), dtype=np.float32)
    labels = np.full((count, 2), FOREGROUND, dtype=np.int64)
    asked = np.zeros(count, dtype=objects.dtype)
    for i in range(count):
        y, x = rng.integers(0, len(objects), 2)
        asked[i] = objects[y, x]
        if i % 2 == 1 or asked[i] not in numbers:
            asked[i] = rng.choice(numbers)
            rows, columns = np.nonzero(objects == asked[i])
            if len(rows):
                place = rng.integers(len(rows))
                y, x = rows[place], columns[place]
            else:  # so thin that it fell between the pixels: ask for what is at the drawn place
                asked[i] = objects[y, x]
        coordinates[i] = (x, y)
        if i % 4 == 3:
            box = box_of(objects == asked[i])
            sides = np.tile(box[2:] - box[:2], 2)
            noise = rng.normal(size=4) * _BOX_NOISE * sides
            box = box + np.clip(noise, -_BOX_NOISE_PIXELS, _BOX_NOISE_PIXELS)
            coordinates[i] = box.reshape(2, 2)
            labels[i] = (TOP_LEFT, BOTTOM_RIGHT)
    return coordinates, labels, asked
