"""A fixed number of objects per image, so that images of many objects and of few share a batch."""

from typing import Literal

import numpy as np


def choose_objects(
    count: int, size: int | None, choice: Literal["first", "random"], rng: np.random.Generator
) -> np.ndarray:
    """Which of an image's objects to use.

    Args:
        count: Objects that there are.
        size: At most this many; None = all.
        choice: The first ones, or a random subset in the data's order.
        rng: Draws the subset.

    Returns:
        Indexes, (min(count, size),) int64, ascending.
    """
    if size is None or count <= size:
        return np.arange(count)
    if choice == "first":
        return np.arange(size)
    return np.sort(rng.choice(count, size, replace=False))


def pad_objects(values: np.ndarray, size: int) -> np.ndarray:
    """Fill the first dimension of `values`, (n, ...) with n <= size, up to `size` with zeros."""
    padded = np.zeros((size, *values.shape[1:]), dtype=values.dtype)
    padded[: len(values)] = values
    return padded
