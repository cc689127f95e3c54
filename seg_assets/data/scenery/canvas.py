"""The canvas: a picture and its exact ids, painted face by face from far to near.

The picture is antialiased: a face covers a pixel by the share of 4 x 4 sub-samples that it covers.
The ids are not blended: a pixel belongs to the last face that covers at least half of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from seg_assets.data.scenery.camera import NEAR, Camera, clip_near
from seg_assets.data.scenery.light import Colour, Light
from seg_assets.data.scenery.textures import PATTERNS, TILE, noise

SUBSAMPLES = 4
TOWARDS_VIEWER = (0.0, 0.0, -1.0)
UPWARDS = (0.0, 1.0, 0.0)
Bounds = tuple[np.ndarray, np.ndarray]  # upper left and lower right corner, each (x, y) in pixels


@dataclass(frozen=True)
class Face:
    """One flat piece of surface, or several of the same kind that are painted together.

    Attributes:
        entity: Id that its pixels get, or 0 to colour pixels without changing their ids.
        outlines: Polygons, each (n, 3) in world metres; their union is filled.
        colour: Colour of the material, shares 0..1.
        normal: Unit normal, towards the viewer's side.
        bulge: 0 flat, 1 shaded like a ball that fills the outlines' bounds.
        column: With `bulge`, shade like an upright column instead of a ball.
        texture: Name in `PATTERNS`, or "leaves" for screen-aligned foliage, or "" for none.
        strength: Strength of the texture.
        gradient: Lighten the top and darken the foot by this share.
        glow: Share of the colour that shines by itself.
        mirror: Share of sky that it mirrors, strongest at the top.
        alpha: Opacity 0..1 of the paint.
        casts: Whether it throws a shadow.
    """

    entity: int
    outlines: Sequence[np.ndarray]
    colour: Colour
    normal: tuple[float, float, float] = TOWARDS_VIEWER
    bulge: float = 0.0
    column: bool = False
    texture: str = ""
    strength: float = 1.0
    gradient: float = 0.04
    glow: float = 0.0
    mirror: float = 0.0
    alpha: float = 1.0
    casts: bool = True


@dataclass
class Canvas:
    """A picture in the making. `pixels` is (H, W, 3) float32 0..1, `ids` is (H, W) int32."""

    height: int
    width: int
    camera: Camera
    light: Light
    rng: np.random.Generator
    pixels: np.ndarray = field(init=False)
    ids: np.ndarray = field(init=False)
    names: list[str] = field(default_factory=lambda: [""])
    parents: list[int] = field(default_factory=lambda: [0])
    ground: list[bool] = field(default_factory=lambda: [False])

    def __post_init__(self) -> None:
        self.pixels = np.zeros((self.height, self.width, 3), np.float32)
        self.ids = np.zeros((self.height, self.width), np.int32)

    @property
    def short_side(self) -> int:
        """The shorter side in pixels: the yardstick for blur and grain."""
        return min(self.height, self.width)

    def entity(self, name: str, *, ground: bool = False) -> int:
        """Register a whole object of a COCO-133 class; shadows fall on `ground` only."""
        self.names.append(name)
        self.parents.append(0)
        self.ground.append(ground)
        return len(self.names) - 1

    def part(self, whole: int) -> int:
        """Register a part of an object."""
        self.names.append(self.names[whole])
        self.parents.append(whole)
        self.ground.append(self.ground[whole])
        return len(self.names) - 1

    def place(self, faces: Sequence[Face], *, shadow: bool = True) -> None:
        """Paint an object: its shadow on the ground, then its faces in the given order."""
        if shadow:
            self.cast_shadow(faces)
        for face in faces:
            self.paint(face)

    def paint(self, face: Face) -> None:
        """Paint one face."""
        polygons = self._on_screen(face.outlines)
        if not polygons:
            return
        points = np.concatenate(polygons)
        bounds = (points.min(axis=0), points.max(axis=0))
        covered = self._coverage(polygons, bounds)
        if covered is None:
            return
        rows, columns, cover = covered
        colour = self._shade(face, bounds, rows, columns)
        if face.alpha < 1:
            cover = cover * np.float32(face.alpha)
        block = self.pixels[rows, columns]
        block += (colour - block) * cover[..., None]
        if face.entity:
            self.ids[rows, columns][cover >= 0.5] = face.entity

    def cast_shadow(self, faces: Iterable[Face]) -> None:
        """Darken the ground where faces hide the sun, and where an object stands on it."""
        sun, softness = self.light.sun, self.light.softness
        outlines = [outline for face in faces if face.casts for outline in face.outlines]
        if not outlines:
            return
        feet = np.concatenate(outlines)
        flat = feet - np.maximum(feet[:, 1:2], 0) / sun[1] * sun[None, :]
        flat[:, 1] = 0.0
        thrown = np.split(flat, np.cumsum([len(outline) for outline in outlines])[:-1])
        self._darken(self._on_screen(thrown), self.light.shadow, softness)
        feet = feet[feet[:, 1] < 0.3]
        if len(feet) > 2:
            low, high = feet.min(axis=0), feet.max(axis=0)
            reach_x = 0.5 * (high[0] - low[0]) * 1.12 + 0.05
            reach_z = max(0.5 * (high[2] - low[2]) * 1.1, 0.18 * reach_x) + 0.03
            angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            disc = np.zeros((24, 3))
            disc[:, 0] = (low[0] + high[0]) / 2 + reach_x * np.cos(angle)
            disc[:, 2] = (low[2] + high[2]) / 2 + reach_z * np.sin(angle)
            self._darken(self._on_screen([disc]), 0.42, softness * 1.5)

    def shine(self, x: float, y: float, radius: float, colour: Colour, power: float) -> None:
        """Add a round glow at a pixel."""
        top, bottom = max(int(y - radius), 0), min(int(y + radius) + 1, self.height)
        left, right = max(int(x - radius), 0), min(int(x + radius) + 1, self.width)
        if top >= bottom or left >= right:
            return
        rows = (np.arange(top, bottom, dtype=np.float32) - y)[:, None]
        columns = (np.arange(left, right, dtype=np.float32) - x)[None, :]
        fall = np.clip(1 - np.hypot(rows, columns) / radius, 0, 1) ** 2.5
        self.pixels[top:bottom, left:right] += (
            power * fall[..., None] * np.asarray(colour, np.float32)
        )

    def _on_screen(self, outlines: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not outlines:
            return []
        joined = np.concatenate(outlines)
        if joined[:, 2].min() >= NEAR:  # the usual case: nothing to cut, one projection for all
            stops = np.cumsum([len(outline) for outline in outlines])[:-1]
            return np.split(self.camera.project(joined), stops)
        kept = [clip_near(outline) for outline in outlines]
        return [self.camera.project(outline) for outline in kept if len(outline) >= 3]

    def _coverage(
        self, polygons: Sequence[np.ndarray], bounds: Bounds
    ) -> tuple[slice, slice, np.ndarray] | None:
        """Rows, columns and (h, w) float32 coverage 0..1 of a union of polygons."""
        left, top = np.floor(bounds[0]).astype(int).tolist()
        right, bottom = (np.ceil(bounds[1]).astype(int) + 1).tolist()
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.width), min(bottom, self.height)
        if left >= right or top >= bottom:
            return None
        mask = Image.new("L", ((right - left) * SUBSAMPLES, (bottom - top) * SUBSAMPLES), 0)
        draw = ImageDraw.Draw(mask)
        for polygon in polygons:
            # far-away corners are harmless but slow and may overflow: keep them near the picture
            local = np.clip((polygon - (left, top)) * SUBSAMPLES - 0.5, -30000, 30000)
            draw.polygon(local.ravel().tolist(), fill=255)
        cover = np.asarray(mask.reduce(SUBSAMPLES), dtype=np.float32) / 255
        return slice(top, bottom), slice(left, right), cover

    def _shade(self, face: Face, bounds: Bounds, rows: slice, columns: slice) -> np.ndarray:
        """Colour (3,) or (h, w, 3) of a face under the light."""
        xs = np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5
        ys = np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5
        low, high = bounds
        material = np.asarray(face.colour, np.float32)
        light = self.light.on(self._normals(face, low, high, xs, ys))
        colour = material * (light * (1 - face.glow) + face.glow)
        depth: float | np.ndarray = float(np.mean([outline[0, 2] for outline in face.outlines]))
        if face.texture == "leaves":
            colour = (
                colour
                * (1 + face.strength * self._leaves(len(ys), len(xs), float(depth)))[..., None]
            )
        elif face.texture:
            u, v, far = self.camera.meet_plane(face.outlines[0][0], np.asarray(face.normal), xs, ys)
            pixel = far / self.camera.focal
            if abs(face.normal[1]) > 0.7:  # level ground is foreshortened along z
                pixel = pixel * np.sqrt(np.maximum(far / max(self.camera.height, 0.5), 1.0))
            tone = PATTERNS[face.texture](u, v, pixel)
            colour = colour * (1 + face.strength * tone)[..., None]
            depth = far[..., None]
        if face.gradient or face.mirror:
            down = ((ys - low[1]) / max(high[1] - low[1], 1e-3)).clip(0, 1)[:, None, None]
            colour = colour * (1 + face.gradient * (1 - 2 * down)).astype(np.float32)
            if face.mirror:
                sky = np.asarray(self.light.horizon, np.float32)
                colour = colour + (sky - colour) * (face.mirror * (1 - 0.8 * down))
        haze = 1 - np.exp(-np.asarray(depth, np.float32) / self.light.haze_reach)
        return (colour + (np.asarray(self.light.haze, np.float32) - colour) * haze).astype(
            np.float32
        )

    def _normals(
        self, face: Face, low: np.ndarray, high: np.ndarray, xs: np.ndarray, ys: np.ndarray
    ) -> np.ndarray:
        if not face.bulge:
            return np.asarray(face.normal, np.float32)
        across = (2 * (xs - low[0]) / max(high[0] - low[0], 1e-3) - 1).clip(-1, 1) * face.bulge
        up = np.zeros(1, np.float32)  # a column has one shade from foot to top
        if not face.column:
            up = (1 - 2 * (ys - low[1]) / max(high[1] - low[1], 1e-3)).clip(-1, 1) * face.bulge
        squared = across[None, :] ** 2 + up[:, None] ** 2
        normal = np.empty((*squared.shape, 3), np.float32)
        normal[..., 0], normal[..., 1] = across[None, :], up[:, None]
        normal[..., 2] = -np.sqrt(np.maximum(1 - squared, 0))
        return normal / np.sqrt(np.maximum(squared, 1))[..., None]

    def _leaves(self, height: int, width: int, depth: float) -> np.ndarray:
        """Foliage noise (height, width) that shrinks with distance."""
        texels = 26 * depth / self.camera.focal  # texels per pixel
        row, column = self.rng.integers(0, TILE, 2)
        rows = np.arange(int(np.ceil(height * texels)) + 1) + row
        columns = np.arange(int(np.ceil(width * texels)) + 1) + column
        patch = noise(0.9, 18, 21)[np.ix_(rows & (TILE - 1), columns & (TILE - 1))]
        window = (0.0, 0.0, width * texels, height * texels)
        smooth = Image.fromarray(patch).resize((width, height), Image.Resampling.BILINEAR, window)
        return 0.16 * np.asarray(smooth)

    def _darken(self, polygons: Sequence[np.ndarray], darkness: float, softness: float) -> None:
        if not polygons:
            return
        margin = softness * self.short_side
        points = np.concatenate(polygons)
        covered = self._coverage(polygons, (points.min(axis=0), points.max(axis=0)))
        if covered is None:
            return
        rows, columns, cover = covered
        pad = int(np.ceil(3 * margin)) + 1
        # a shadow that leaves the picture goes on outside of it: repeat its rim there
        outside = [
            (rows.start == 0, rows.stop == self.height),
            (columns.start == 0, columns.stop == self.width),
        ]
        for axis, (before, after) in enumerate(outside):
            for touches, sides in ((before, (pad, 0)), (after, (0, pad))):
                widths = [(0, 0), (0, 0)]
                widths[axis] = sides
                cover = np.pad(cover, widths, mode="edge" if touches else "constant")
        mask = Image.fromarray((cover * 255).astype(np.uint8)).filter(
            ImageFilter.GaussianBlur(margin)
        )
        top, left = rows.start - pad, columns.start - pad
        shade = np.asarray(mask, dtype=np.float32)[max(-top, 0) :, max(-left, 0) :] / 255
        top, left = max(top, 0), max(left, 0)
        shade = shade[: self.height - top, : self.width - left]
        rows, columns = slice(top, top + shade.shape[0]), slice(left, left + shade.shape[1])
        receives = np.asarray(self.ground)[self.ids[rows, columns]]
        tint = np.array([1.0, 0.93, 0.82], np.float32)  # shadows keep the blue of the sky
        self.pixels[rows, columns] *= 1 - darkness * (shade * receives)[..., None] * tint

    def finish(self) -> np.ndarray:
        """Develop the picture: exposure, shoulder, vignette, grain. Returns (H, W, 3) uint8."""
        rng = self.rng
        picture = self.pixels * np.float32(rng.uniform(0.94, 1.06))
        picture *= rng.uniform(0.98, 1.02, 3).astype(np.float32)
        rows = np.linspace(-1, 1, self.height, dtype=np.float32)[:, None]
        columns = np.linspace(-1, 1, self.width, dtype=np.float32)[None, :]
        picture *= (1 - 0.11 * (rows**2 + columns**2) ** 1.5 * 0.5)[..., None]
        picture = np.where(picture > 0.75, 0.75 + 0.25 * np.tanh((picture - 0.75) / 0.25), picture)
        offset = rng.integers(0, TILE, 2)
        grain = noise(0.1, 80, 22)[
            np.ix_(
                (np.arange(self.height) + offset[0]) & (TILE - 1),
                (np.arange(self.width) + offset[1]) & (TILE - 1),
            )
        ]
        picture += 0.008 * grain[..., None]
        return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
