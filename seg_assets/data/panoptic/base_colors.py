"""Colours that a category may have."""

from collections.abc import Collection, Iterable

from seg_assets.errors import InputError

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
"""Black is no segment; white is what augmentations of detectron2 pad id maps with."""


def free_color(
    color: tuple[int, int, int], taken: Collection[tuple[int, int, int]]
) -> tuple[int, int, int]:
    """Find the nearest colour that is not taken; of equally near ones the first.

    Args:
        color: where to begin, RGB 0..255; it is not given itself.
        taken: colours that are in use.

    Raises:
        InputError: all 16.7 million others are taken.
    """
    for radius in range(1, 256):
        near = _shell(color, radius)
        for candidate in near:
            if candidate not in taken:
                return candidate
    raise InputError(f"no colour is free near {list(color)}; choose the colours yourself")


def _shell(color: tuple[int, int, int], radius: int) -> Iterable[tuple[int, int, int]]:
    """Colours whose largest difference in a channel is `radius`, in a fixed order."""
    steps = range(-radius, radius + 1)
    for red in steps:
        for green in steps:
            for blue in steps:
                moved = (color[0] + red, color[1] + green, color[2] + blue)
                on_shell = radius in (abs(red), abs(green), abs(blue))
                if on_shell and all(0 <= value <= 255 for value in moved):
                    yield moved
