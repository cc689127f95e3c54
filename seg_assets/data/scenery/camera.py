"""The camera of a scene: world metres to pixels and back onto a plane.

World axes: x to the right, y up, z away from the viewer. The camera stands at (0, height, 0) and
looks along z; the horizon is shifted like a view camera's lens, so that upright lines stay upright.
"""

from dataclasses import dataclass

import numpy as np

NEAR = 0.4  # metres: what is nearer is cut away


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        height: Eye height over the ground, in metres.
        focal: Focal length in pixels.
        centre_x: Column of the vanishing point, in pixels.
        horizon: Row of the horizon, in pixels.
    """

    height: float
    focal: float
    centre_x: float
    horizon: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Map (n, 3) world points with z >= NEAR to (n, 2) pixels (x, y)."""
        scale = self.focal / points[:, 2]
        return np.stack(
            [
                self.centre_x + points[:, 0] * scale,
                self.horizon + (self.height - points[:, 1]) * scale,
            ],
            axis=1,
        )

    def ground_depth(self, row: float) -> float:
        """Depth z in metres of the ground that is seen at a pixel row below the horizon."""
        return self.focal * self.height / max(row - self.horizon, 1e-3)

    def half_width(self, depth: float, width: int) -> float:
        """Half of the width, in metres, that a picture of `width` pixels sees at a depth."""
        return 0.5 * width * depth / self.focal

    def meet_plane(
        self, point: np.ndarray, normal: np.ndarray, columns: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Meet the rays of a pixel block with a plane.

        Args:
            point: (3,) any point of the plane.
            normal: (3,) its unit normal.
            columns: (w,) pixel columns.
            rows: (h,) pixel rows.

        Returns:
            (u, v, depth), each (h, w) float32: coordinates on the plane in metres (x and z on level
            ground, along and up on a wall) and the depth z in metres.
        """
        ray_x = ((columns - self.centre_x) / self.focal).astype(np.float32)[None, :]
        ray_y = ((self.horizon - rows) / self.focal).astype(np.float32)[:, None]
        normal = np.asarray(normal, np.float32)
        offset = float(normal @ (np.asarray(point, np.float32) - (0.0, self.height, 0.0)))
        facing = normal[0] * ray_x + normal[1] * ray_y + normal[2]
        facing = np.where(np.abs(facing) < 1e-5, np.float32(1e-5), facing)
        depth = np.clip(offset / facing, NEAR, 400.0).astype(np.float32)
        x = ray_x * depth
        if abs(normal[1]) > 0.7:
            return x, depth, depth
        up = self.height + ray_y * depth
        along = normal[0] * depth - normal[2] * x
        return along, up, depth


def clip_near(points: np.ndarray) -> np.ndarray:
    """Cut the part of a polygon (n, 3) that lies nearer than NEAR; may return no points."""
    inside = points[:, 2] >= NEAR
    if inside.all():
        return points
    kept: list[np.ndarray] = []
    for i in range(len(points)):
        here, there = points[i], points[(i + 1) % len(points)]
        if inside[i]:
            kept.append(here)
        if inside[i] != inside[(i + 1) % len(points)]:
            share = (NEAR - here[2]) / (there[2] - here[2])
            kept.append(here + share * (there - here))
    return np.asarray(kept, dtype=points.dtype).reshape(-1, 3)
