"""Outlines in the plane, as (n, 2) float arrays of points, and their way into the world."""

import numpy as np

Points = np.ndarray


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Points:
    """Four corners of an upright rectangle."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)


def ellipse(x: float, y: float, rx: float, ry: float, count: int = 28) -> Points:
    """An ellipse round (x, y)."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def blob(
    rng: np.random.Generator, x: float, y: float, rx: float, ry: float, *, rough=0.12, count=18
) -> Points:
    """An ellipse with an uneven rim; `rough` is the unevenness as a share of the radius."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radius = 1 + rough * rng.uniform(-1, 1, count)
    return np.stack([x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle)], axis=1)


def limb(x0: float, y0: float, x1: float, y1: float, r0: float, r1: float) -> Points:
    """A tapered stroke with round ends, from (x0, y0) with radius r0 to (x1, y1) with r1."""
    direction = np.arctan2(y1 - y0, x1 - x0)
    back = np.linspace(direction + np.pi / 2, direction + 3 * np.pi / 2, 7)
    front = np.linspace(direction - np.pi / 2, direction + np.pi / 2, 7)
    return np.concatenate(
        [
            np.stack([x0 + r0 * np.cos(back), y0 + r0 * np.sin(back)], axis=1),
            np.stack([x1 + r1 * np.cos(front), y1 + r1 * np.sin(front)], axis=1),
        ]
    )


def smooth(points: Points, rounds: int = 2) -> Points:
    """Round the corners of a closed outline by cutting them (Chaikin)."""
    points = np.asarray(points, dtype=np.float64)
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack(
            [0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1
        ).reshape(-1, 2)
    return points


def rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> Points:
    """A rectangle with round corners."""
    radius = min(radius, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
    corners = [
        (x1 - radius, y1 - radius, 0.0),
        (x0 + radius, y1 - radius, 0.5),
        (x0 + radius, y0 + radius, 1.0),
        (x1 - radius, y0 + radius, 1.5),
    ]
    arcs = []
    for x, y, start in corners:
        angle = np.pi * np.linspace(start, start + 0.5, 5)
        arcs.append(np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1))
    return np.concatenate(arcs)


def ridge(
    rng: np.random.Generator, x0: float, x1: float, low: float, high: float, floor: float, count=9
) -> Points:
    """A closed outline with a hilly upper rim between the heights `low` and `high`."""
    x = np.linspace(x0, x1, count)
    knots = rng.uniform(low, high, count)
    fine_x = np.linspace(x0, x1, count * 10)
    rim = np.interp(fine_x, x, knots)
    kernel = np.hanning(13)
    rim = np.convolve(np.pad(rim, 6, mode="edge"), kernel / kernel.sum(), mode="valid")
    rim += (
        np.convolve(rng.normal(size=len(rim) + 4), np.ones(5) / 5, mode="valid")
        * 0.03
        * (high - low)
    )
    top = np.stack([fine_x, rim], axis=1)
    return np.concatenate([top, [(x1, floor), (x0, floor)]])


def stand(points: Points, x: float, z: float, *, scale=1.0, flip=False, base=0.0) -> np.ndarray:
    """Stand a flat outline upright in the world, facing the viewer.

    Args:
        points: (n, 2) outline; x is measured from the middle, y up from the foot.
        x: Where the middle stands.
        z: At which depth.
        scale: Metres per unit of the outline.
        flip: Mirror it left to right.
        base: Height of the foot over the ground.

    Returns:
        (n, 3) world points.
    """
    points = np.asarray(points, dtype=np.float64)
    side = -scale if flip else scale
    depth = np.full(len(points), float(z))
    return np.stack([x + side * points[:, 0], base + scale * points[:, 1], depth], axis=1)


def lay(points: Points, height: float = 0.0) -> np.ndarray:
    """Lay a flat outline of (x, z) points level in the world, at a height."""
    points = np.asarray(points, dtype=np.float64)
    return np.stack([points[:, 0], np.full(len(points), float(height)), points[:, 1]], axis=1)
