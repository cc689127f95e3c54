"""Solid bodies built of faces: boxes and extruded outlines, turned by any heading."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seg_assets.data.scenery.camera import Camera
from seg_assets.data.scenery.canvas import Face
from seg_assets.data.scenery.light import Colour


@dataclass(frozen=True)
class Pose:
    """Where a body stands: its own axes are `along`, up and `across`.

    `heading` is the angle in radians by which `along` is turned from the world's x towards z.
    """

    x: float
    z: float
    heading: float = 0.0
    base: float = 0.0

    def world(self, points: np.ndarray) -> np.ndarray:
        """Map (n, 3) points (along, up, across) to the world."""
        points = np.asarray(points, dtype=np.float64)
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        along, up, across = points[:, 0], points[:, 1], points[:, 2]
        return np.stack(
            [
                self.x + along * cos - across * sin,
                self.base + up,
                self.z + along * sin + across * cos,
            ],
            axis=1,
        )

    def side(self, outline: np.ndarray, across: float) -> np.ndarray:
        """Place an (along, up) outline on the plane at `across`."""
        outline = np.asarray(outline, dtype=np.float64)
        return self.world(np.column_stack([outline, np.full(len(outline), across)]))

    def end(self, outline: np.ndarray, along: float) -> np.ndarray:
        """Place an (across, up) outline on the plane at `along`."""
        outline = np.asarray(outline, dtype=np.float64)
        return self.world(
            np.column_stack([np.full(len(outline), along), outline[:, 1], outline[:, 0]])
        )

    def side_normal(self, sign: float) -> tuple[float, float, float]:
        """Normal of the plane at positive or negative `across`."""
        return (-sign * float(np.sin(self.heading)), 0.0, sign * float(np.cos(self.heading)))

    def end_normal(self, sign: float) -> tuple[float, float, float]:
        """Normal of the plane at positive or negative `along`."""
        return (sign * float(np.cos(self.heading)), 0.0, sign * float(np.sin(self.heading)))

    def sees_end(self, camera: Camera, along: float) -> bool:
        """Whether the camera sees the end plane at `along` from outside."""
        normal = np.array(self.end_normal(float(np.sign(along) or 1.0)))
        point = self.world(np.array([[along, camera.height, 0.0]]))[0]
        return float(normal @ (np.array([0.0, camera.height, 0.0]) - point)) > 0

    def sees_side(self, camera: Camera, across: float) -> bool:
        """Whether the camera sees the side plane at `across` from outside."""
        normal = np.array(self.side_normal(float(np.sign(across) or 1.0)))
        point = self.world(np.array([[0.0, camera.height, across]]))[0]
        return float(normal @ (np.array([0.0, camera.height, 0.0]) - point)) > 0


def extrude(
    camera: Camera,
    pose: Pose,
    outline: np.ndarray,
    half_width: float | Sequence[float],
    entity: int,
    colour: Colour,
    *,
    bulge: float = 0.0,
    texture: str = "",
    strength: float = 1.0,
    gradient: float = 0.04,
    mirror: float = 0.0,
) -> list[Face]:
    """Faces of an (along, up) outline, counter-clockwise, drawn out across to both sides.

    Args:
        camera: Decides which faces are seen.
        pose: Where the body stands.
        outline: (n, 2) corners.
        half_width: Half of the width, one for all corners or one for each.
        entity: Id of the faces.
        colour: Colour of the material.
        bulge: As in `Face`, for the sides, like what follows.
        texture: Pattern of all faces.
        strength: Strength of the texture.
        gradient: Lighter top and darker foot of the sides.
        mirror: Share of mirrored sky.

    Returns:
        The visible faces, far to near.
    """
    outline = np.asarray(outline, dtype=np.float64)
    widths = np.broadcast_to(np.asarray(half_width, dtype=np.float64), (len(outline),))
    left = pose.world(np.column_stack([outline, -widths]))
    right = pose.world(np.column_stack([outline, widths]))
    eye = np.array([0.0, camera.height, 0.0])
    strips: list[tuple[float, Face]] = []
    for i in range(len(outline)):
        j = (i + 1) % len(outline)
        along, up = outline[j] - outline[i]
        length = float(np.hypot(along, up))
        if length < 1e-6:
            continue
        ahead = pose.end_normal(1.0)
        normal = np.array([up * ahead[0], -along, up * ahead[2]]) / length
        quad = np.array([left[i], left[j], right[j], right[i]])
        middle = quad.mean(axis=0)
        if float(normal @ (eye - middle)) <= 0:
            continue
        face = Face(
            entity,
            [quad],
            colour,
            (float(normal[0]), float(normal[1]), float(normal[2])),
            texture=texture,
            strength=strength,
            gradient=0.0,
            mirror=mirror,
        )
        strips.append((float(np.linalg.norm(middle - eye)), face))
    faces = [face for _, face in sorted(strips, key=lambda item: -item[0])]
    reach = float(widths.max())
    for sign, plane in ((-1.0, left), (1.0, right)):
        if pose.sees_side(camera, sign * reach):
            faces.append(
                Face(
                    entity,
                    [plane],
                    colour,
                    pose.side_normal(sign),
                    bulge=bulge,
                    texture=texture,
                    strength=strength,
                    gradient=gradient,
                    mirror=mirror,
                )
            )
    return faces


def box(
    camera: Camera,
    pose: Pose,
    length: float,
    height: float,
    width: float,
    entity: int,
    colour: Colour,
    *,
    base: float = 0.0,
    along: float = 0.0,
    across: float = 0.0,
    texture: str = "",
    strength: float = 1.0,
    gradient: float = 0.04,
) -> list[Face]:
    """Visible faces of a box whose foot's middle is at (along, base, across) of the pose."""
    shifted_x, _, shifted_z = pose.world(np.array([[along, 0.0, across]]))[0]
    moved = Pose(float(shifted_x), float(shifted_z), pose.heading, pose.base)
    half = length / 2
    outline = np.array([(-half, base), (half, base), (half, base + height), (-half, base + height)])
    return extrude(
        camera,
        moved,
        outline,
        width / 2,
        entity,
        colour,
        texture=texture,
        strength=strength,
        gradient=gradient,
    )
