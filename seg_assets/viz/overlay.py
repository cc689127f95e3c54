"""Label maps and region maps drawn over their image."""

import numpy as np

from seg_assets.classes.table import ClassTable
from seg_assets.errors import InputError
from seg_assets.viz.region_colors import color_regions

ROWS_AT_ONCE = 256  # blended together: float32 for the whole of a large photo would be gigabytes
CONTOUR_SHARE = 0.35  # how much of the colour is left in a contour: dark enough to part two regions


def find_contours(ids: np.ndarray) -> np.ndarray:
    """Find the pixels at the borders of regions.

    Args:
        ids: (H, W) integers, one value per region.

    Returns:
        (H, W) bool: pixels whose right or lower neighbour has another value. The lines are one
        pixel wide.
    """
    border = np.zeros(ids.shape, dtype=bool)
    border[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    border[:-1] |= ids[:-1] != ids[1:]
    return border


def overlay(
    image: np.ndarray, label_map: np.ndarray, table: ClassTable, alpha: float = 0.5
) -> np.ndarray:
    """Blend the class colours over an image, with thin dark contours between classes.

    Args:
        image: (H, W, 3) uint8 RGB.
        label_map: (H, W) uint8 class ids of `table`; 255 stays as the image is.
        table: Gives the colours.
        alpha: Opacity of the colours, 0..1.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: Image and map differ in size.
        UnknownClassError: The map holds an id that the table does not.
    """
    _check_same_size(image, label_map)
    table.check(label_map, where="the overlay's label map")
    colors = table.palette()[label_map]
    return blend_colors(
        image, colors, label_map != table.ignore_id, find_contours(label_map), alpha
    )


def draw_regions(image: np.ndarray, region_map: np.ndarray, alpha: float = 0.55) -> np.ndarray:
    """Blend distinct colours over the regions of an image; neighbours differ clearly.

    Args:
        image: (H, W, 3) uint8 RGB.
        region_map: (H, W) int32 region ids; 0 (no region) stays as the image is.
        alpha: Opacity of the colours, 0..1.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: Image and map differ in size, or an id is negative.
    """
    _check_same_size(image, region_map)
    colors = color_regions(region_map)
    return blend_colors(image, colors, region_map != 0, find_contours(region_map), alpha)


def _check_same_size(image: np.ndarray, ids: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"An image to draw on needs shape (H, W, 3), not {image.shape}.")
    if image.shape[:2] != ids.shape:
        raise InputError(
            f"The image has {image.shape[0]} x {image.shape[1]} pixels but the map has shape "
            f"{ids.shape}; give a map of the same size."
        )


def blend_colors(
    image: np.ndarray, colors: np.ndarray, inside: np.ndarray, contour: np.ndarray, alpha: float
) -> np.ndarray:
    """Mix colours into an image, and darken its contours.

    Args:
        image: (H, W, 3) uint8 RGB.
        colors: (H, W, 3) uint8 RGB.
        inside: (H, W) bool, where the colours are mixed in.
        contour: (H, W) bool, which pixels become dark.
        alpha: Opacity of the colours, 0..1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    result = np.empty_like(image)
    for start in range(0, len(image), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        share = np.where(inside[rows], np.float32(alpha), np.float32(0))[..., None]
        drawn = image[rows] + (colors[rows].astype(np.float32) - image[rows]) * share
        drawn[contour[rows]] *= CONTOUR_SHARE
        result[rows] = drawn + 0.5
    return result
