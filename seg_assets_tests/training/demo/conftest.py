from dataclasses import replace

import numpy as np
import pytest

from seg_assets.modeling.sam import TINY
from seg_assets.training.demo.drawn_scenes import DrawnScene

# as the demo's: no relative positions
SMALL_SAM = replace(TINY, image_size=64, use_rel_pos=False, spread_start=False)


def two_squares(seed: int, size: int = 64) -> DrawnScene:
    """A red square (class 2) and a blue one (class 7) on grey (class 119), places by chance."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), 128, np.uint8)
    labels = np.full((size, size), 119, np.uint8)
    objects = np.ones((size, size), np.uint8)
    for number, (color, class_id) in enumerate((((220, 30, 30), 2), ((30, 30, 220), 7)), start=2):
        x = rng.integers(2, 10) + (number - 2) * size // 2
        y = rng.integers(2, 36)
        place = (slice(y, y + 20), slice(x, x + 20))
        image[place], labels[place], objects[place] = color, class_id, number
    return DrawnScene(image, labels, objects)


@pytest.fixture
def scenes() -> list[DrawnScene]:
    return [two_squares(seed) for seed in range(8)]
