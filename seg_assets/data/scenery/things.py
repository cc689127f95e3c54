"""What stands in a scene, to be painted far to near."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seg_assets.data.scenery.canvas import Canvas, Face

Builder = Callable[..., list[Face]]


@dataclass
class Things:
    """A list of things with their depths; each is built when its turn to be painted comes."""

    waiting: list[tuple[float, Builder, tuple[Any, ...], dict[str, Any]]] = field(
        default_factory=list
    )

    def add(self, depth: float, build: Builder, *arguments: Any, **options: Any) -> None:
        """Add a thing that `build(canvas, *arguments, **options)` makes."""
        self.waiting.append((depth, build, arguments, options))

    def place(self, canvas: Canvas) -> None:
        """Build and paint all things, the farthest first; equal depths keep their order."""
        for _, build, arguments, options in sorted(self.waiting, key=lambda thing: -thing[0]):
            canvas.place(build(canvas, *arguments, **options))


def spread_depths(rng: np.random.Generator, count: int, near: float, far: float) -> list[float]:
    """Choose depths that keep their distance on the screen: even steps of 1 / z, jittered."""
    steps = (np.arange(count) + rng.uniform(0.15, 0.85, count)) / max(count, 1)
    return [float(1 / (1 / near + (1 / far - 1 / near) * step)) for step in steps]
