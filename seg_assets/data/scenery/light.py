"""The light of a scene: time of day as colours of sun, sky and haze."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]


def rgb(code: int) -> Colour:
    """Colour 0xRRGGBB as three shares 0..1."""
    return ((code >> 16 & 255) / 255, (code >> 8 & 255) / 255, (code & 255) / 255)


def mix(a, b, share: float) -> Colour:
    """Go from colour a to colour b by a share 0..1."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    red, green, blue = (first + (second - first) * share).tolist()
    return (red, green, blue)


@dataclass(frozen=True)
class Light:
    """One sun and the sky around it; colours are shares 0..1 and may exceed 1 for strong light.

    Attributes:
        name: Time of day.
        sun: (3,) unit vector towards the sun.
        sun_colour: Light of the sun on a surface that faces it.
        sky_light: Light of the sky from above.
        ground_light: Light that the ground throws back from below.
        zenith: Colour of the sky at the top.
        horizon: Colour of the sky at the horizon.
        haze: Colour that far things fade into.
        haze_reach: Metres at which about two thirds of a thing's colour are lost.
        clouds: Cover of clouds, 0..1.
        cloud_colour: Colour of their lit side.
        shadow: Darkness of cast shadows, 0..1.
        lamps: Whether lamps and windows shine.
        softness: Blur of cast shadows, as a share of the picture's short side.
    """

    name: str
    sun: np.ndarray
    sun_colour: Colour
    sky_light: Colour
    ground_light: Colour
    zenith: Colour
    horizon: Colour
    haze: Colour
    haze_reach: float
    clouds: float
    cloud_colour: Colour
    shadow: float
    lamps: bool = False
    softness: float = 0.006

    def on(self, normal: np.ndarray) -> np.ndarray:
        """Light (..., 3) on surfaces with unit normals (..., 3)."""
        sky, ground, sun = (
            np.asarray(colour, np.float32)
            for colour in (self.sky_light, self.ground_light, self.sun_colour)
        )
        x, y, z = self.sun.tolist()
        lit = normal[..., 0] * x + normal[..., 1] * y + normal[..., 2] * z
        light = normal[..., 1:2] * ((sky - ground) / 2) + (sky + ground) / 2
        return light + sun * np.maximum(lit, 0)[..., None]


def _unit(x: float, y: float, z: float) -> np.ndarray:
    vector = np.array([x, y, z])
    return vector / np.linalg.norm(vector)


def daylight(rng: np.random.Generator) -> Light:
    """Choose a time of day and a direction of the sun."""
    side = rng.choice([-1.0, 1.0])
    name = rng.choice(
        ["noon", "morning", "golden", "sunset", "overcast", "dusk"],
        p=[0.28, 0.22, 0.18, 0.12, 0.1, 0.1],
    )
    lean = rng.uniform(0.8, 1.2)
    cover = float(rng.uniform(0.1, 0.6))
    if name == "noon":
        return Light(
            name,
            _unit(side * 0.75 * lean, 1.05, -0.75),
            (0.80, 0.76, 0.66),
            (0.56, 0.62, 0.72),
            (0.30, 0.29, 0.25),
            rgb(0x2F7FCB),
            rgb(0xBFE0F2),
            rgb(0xC4DCEA),
            240,
            cover,
            rgb(0xFFFFFF),
            0.46,
        )
    if name == "morning":
        return Light(
            name,
            _unit(side * 1.1 * lean, 0.62, -0.8),
            (0.88, 0.78, 0.60),
            (0.52, 0.58, 0.68),
            (0.30, 0.27, 0.24),
            rgb(0x5B9BD5),
            rgb(0xFBE6C8),
            rgb(0xF0E2CC),
            110,
            cover,
            rgb(0xFFF8EA),
            0.42,
        )
    if name == "golden":
        return Light(
            name,
            _unit(side * 1.25 * lean, 0.5, -0.62),
            (1.02, 0.70, 0.40),
            (0.50, 0.50, 0.60),
            (0.32, 0.25, 0.22),
            rgb(0x4F83BE),
            rgb(0xFFD9A0),
            rgb(0xF5CFA0),
            150,
            cover,
            rgb(0xFFE7C4),
            0.45,
        )
    if name == "sunset":
        return Light(
            name,
            _unit(side * 0.55 * lean, 0.30, 0.9),
            (1.00, 0.52, 0.30),
            (0.66, 0.56, 0.64),
            (0.36, 0.26, 0.28),
            rgb(0x4C5C9E),
            rgb(0xFFB56B),
            rgb(0xF2A678),
            130,
            float(rng.uniform(0.25, 0.65)),
            rgb(0xFFC28E),
            0.40,
        )
    if name == "overcast":
        return Light(
            name,
            _unit(side * 0.4, 1.0, -0.5),
            (0.22, 0.22, 0.22),
            (0.80, 0.84, 0.88),
            (0.40, 0.40, 0.40),
            rgb(0x9FB2C2),
            rgb(0xDCE4E8),
            rgb(0xCFD8DC),
            90,
            float(rng.uniform(0.7, 0.95)),
            rgb(0xF0F3F5),
            0.16,
        )
    return Light(
        name,
        _unit(side * 0.9, 0.6, -0.6),
        (0.20, 0.22, 0.36),
        (0.42, 0.46, 0.66),
        (0.24, 0.22, 0.30),
        rgb(0x1E2A5A),
        rgb(0xE79A86),
        rgb(0x8C83A6),
        140,
        float(rng.uniform(0.15, 0.5)),
        rgb(0xC79AA8),
        0.20,
        lamps=True,
    )


def room_light(rng: np.random.Generator) -> Light:
    """Light of a room: soft from above and from one side, warm or cool."""
    side = rng.choice([-1.0, 1.0])
    warm = rng.uniform(0, 1)
    evening = bool(rng.random() < 0.25)
    sun = mix((0.58, 0.60, 0.62), (0.72, 0.60, 0.45), warm)
    sky = mix((0.76, 0.79, 0.84), (0.84, 0.78, 0.69), warm)
    if evening:
        sun, sky = mix(sun, (0.5, 0.36, 0.22), 0.5), mix(sky, (0.56, 0.47, 0.42), 0.7)
    return Light(
        "evening" if evening else "day",
        _unit(side * 0.55, 1.0, -0.55),
        sun,
        sky,
        mix((0.52, 0.50, 0.48), (0.54, 0.48, 0.42), warm),
        rgb(0x1C2750) if evening else rgb(0x6FB2E6),
        rgb(0xB08090) if evening else rgb(0xE6F4FB),
        (0.9, 0.88, 0.84),
        400,
        float(rng.uniform(0.2, 0.6)),
        (1.0, 1.0, 1.0),
        0.30,
        lamps=evening,
    )
