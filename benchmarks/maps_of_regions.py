"""Pairs of label maps for benchmarks: truth, and a prediction that errs as models do."""

import numpy as np

HEIGHT, WIDTH = 1500, 2250


def scene_maps(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A generated street, park or room; the prediction is moved a little and partly mistaken.

    Returns:
        Predicted and true label map (H, W) uint8 of coco133, predicted and true object ids (H, W)
        int32.
    """
    from seg_assets.data.scenes import make_scene

    scene = make_scene(seed, (HEIGHT, WIDTH))
    moved, ids = (np.roll(m, (3, -4), (0, 1)) for m in (scene.label_map, scene.instance_map))
    other = make_scene(seed + 1, (HEIGHT, WIDTH))
    third = slice(0, WIDTH // 3)
    moved[:, third] = other.label_map[:, third]
    ids[:, third] = other.instance_map[:, third] + ids.max()
    return moved, scene.label_map, ids, scene.instance_map


def blob_maps(
    seed: int, classes: int, blobs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ragged ellipses over one another, of all classes; returned as `scene_maps` does."""
    random = np.random.default_rng(seed)
    class_of = random.integers(classes, size=blobs + 1).astype(np.uint8)
    truth = _blobs(random, blobs)
    ids = np.roll(truth, (3, -4), (0, 1))
    third = slice(0, WIDTH // 3)
    other = _blobs(random, blobs)
    ids[:, third] = other[:, third]
    said = np.where(random.random(blobs + 1) < 0.8, class_of, class_of[::-1])
    return said[ids], class_of[truth], ids + 1, truth + 1


def noise_maps(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pixel of another class: the worst case of what looks at runs."""
    random = np.random.default_rng(seed)
    prediction, truth = random.integers(classes, size=(2, HEIGHT, WIDTH)).astype(np.uint8)
    return prediction, truth


def _blobs(random: np.random.Generator, count: int) -> np.ndarray:
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    for number in range(1, count + 1):
        cy, cx = random.uniform(0, HEIGHT), random.uniform(0, WIDTH)
        b, a = random.uniform(0.02, 0.25, 2) * HEIGHT
        ragged = 1 + 0.1 * np.sin(x / 17 + number) + 0.1 * np.sin(y / 23)
        ids[((y - cy) / b) ** 2 + ((x - cx) / a) ** 2 < ragged] = number
    return ids
