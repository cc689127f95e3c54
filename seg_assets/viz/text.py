"""Text in pictures, in Pillow's bundled font."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, PAPER = (34, 34, 38), (255, 255, 255)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the bundled font at a size in pixels."""
    return ImageFont.load_default(size)


def text_width(text: str, size: int) -> int:
    """Width in pixels of one line of text."""
    return int(np.ceil(font(size).getlength(text)))


def shorten(text: str, size: int, width: int) -> str:
    """Cut a text so that it fits into a width in pixels, with an ellipsis at the cut."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text}…"


def text_strip(text: str, width: int, *, size: int = 14, ink=INK, paper=PAPER) -> np.ndarray:
    """Draw one centred line of text.

    Args:
        text: What to write; it is shortened to fit.
        width: Width of the strip in pixels.
        size: Height of the letters in pixels.
        ink: Colour of the letters.
        paper: Colour behind them.

    Returns:
        (about 1.7 x size, width, 3) uint8 RGB.
    """
    height = int(round(size * 1.7))
    strip = Image.new("RGB", (width, height), paper)
    line = shorten(text, size, max(width - 4, 1))
    ImageDraw.Draw(strip).text(
        (width / 2, height / 2), line, fill=ink, font=font(size), anchor="mm"
    )
    return np.asarray(strip)
