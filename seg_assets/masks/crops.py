"""Where the generator looks: crops of the image, and a grid of points in each."""

from dataclasses import dataclass

import numpy as np

from seg_assets.masks.params import MaskParams

# A mask that ends this close to a crop's inner edge was probably cut off by it, in pixels.
EDGE_MARGIN = 20


@dataclass(frozen=True)
class Crop:
    """A part of the image in which masks are searched.

    Attributes:
        layer: 0 for the whole image, i for one of 2^i x 2^i crops.
        x0: First column.
        y0: First row.
        x1: Column after the last.
        y1: Row after the last.
    """

    layer: int
    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def area(self) -> int:
        """Pixels of the crop."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def cuts(self, corners: tuple[int, int, int, int], height: int, width: int) -> bool:
        """Whether a mask reaches an edge of the crop that is not an edge of the image.

        Args:
            corners: x0, y0, x1, y1 of the mask, in the image.
            height: Rows of the image.
            width: Columns of the image.
        """
        edges = ((self.x0, 0), (self.y0, 0), (self.x1, width), (self.y1, height))
        return any(
            abs(corner - edge) <= EDGE_MARGIN < abs(corner - image_edge)
            for corner, (edge, image_edge) in zip(corners, edges, strict=True)
        )


def plan_crops(height: int, width: int, layers: int, overlap_ratio: float) -> list[Crop]:
    """The whole image, then 2 x 2, 4 x 4, ... overlapping crops, column by column.

    Args:
        height: Rows of the image.
        width: Columns of the image.
        layers: How many layers of crops follow the whole image.
        overlap_ratio: Overlap in the first layer over the short side; each further layer halves it.
    """
    crops = [Crop(0, 0, 0, width, height)]
    for layer in range(1, layers + 1):
        per_side = 2**layer
        overlap = int(overlap_ratio * min(height, width) * (2 / per_side))
        # Crops of this length, each starting `overlap` before the last one ends, cover the side.
        crop_width = -(-(overlap * (per_side - 1) + width) // per_side)
        crop_height = -(-(overlap * (per_side - 1) + height) // per_side)
        for column in range(per_side):
            for row in range(per_side):
                x0, y0 = column * (crop_width - overlap), row * (crop_height - overlap)
                x1, y1 = min(x0 + crop_width, width), min(y0 + crop_height, height)
                if x0 < x1 and y0 < y1:  # else the image has fewer pixels than the layer crops
                    crops.append(Crop(layer, x0, y0, x1, y1))
    return crops


def point_grid(points_per_side: int) -> np.ndarray:
    """Centres of n x n equal cells, row by row, as shares of width and height, (n * n, 2)."""
    margin = 1 / (2 * points_per_side)
    centres = np.linspace(margin, 1 - margin, points_per_side)
    x, y = np.meshgrid(centres, centres)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def point_grids(params: MaskParams) -> list[np.ndarray]:
    """The points of each crop layer, as shares of a crop's width and height, (N, 2) float64."""
    if params.point_grids is not None:
        return [np.array(grid, np.float64) for grid in params.point_grids]
    if params.points_per_side is None:
        raise ValueError("MaskParams holds neither points_per_side nor point_grids")
    factor = params.crop_n_points_downscale_factor
    return [
        point_grid(int(params.points_per_side / factor**layer))
        for layer in range(params.crop_n_layers + 1)
    ]
