"""Categories and small maps that the tests of training data share."""

import numpy as np

from seg_assets.data.panoptic.categories import Category, CategoryTable

SKY = Category(3, "sky", (70, 130, 180), is_thing=False)
ROAD = Category(7, "road", (128, 64, 128), is_thing=False)
CAR = Category(1, "car", (0, 0, 142), is_thing=True)
PERSON = Category(20, "person", (220, 20, 60), is_thing=True)

STREET = CategoryTable((SKY, ROAD, CAR, PERSON))  # training ids 0, 1, 2, 3
NONE = 255


def grid(*rows: str) -> np.ndarray:
    """(H, W) uint8 out of digits; "." is 255."""
    return np.array(
        [[NONE if character == "." else int(character) for character in row] for row in rows],
        np.uint8,
    )
