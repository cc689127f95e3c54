"""What is known of a mask once it is run lengths."""

from dataclasses import dataclass

from seg_assets.masks.rle import Rle


@dataclass(frozen=True)
class TracedMask:
    """A stable mask at the image's size.

    Attributes:
        index: Which of the logits it comes from.
        rle: Its run lengths.
        corners: First and last column and row, x0, y0, x1, y1.
        area: Its pixels.
        stability: Pixels above the tighter threshold over pixels above the looser one, 0 to 1.
    """

    index: int
    rle: Rle
    corners: tuple[int, int, int, int]
    area: int
    stability: float


@dataclass(frozen=True)
class Canvas:
    """The image in which a traced frame is a crop, or all of it.

    Attributes:
        height: Rows of the image.
        width: Columns of the image.
        row: Row in which the frame begins.
        column: Column in which it begins.
    """

    height: int
    width: int
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Stability:
    """Where masks are cut, and which are stable.

    Attributes:
        threshold: A pixel belongs to the mask where its logit is greater.
        offset: How far the threshold moves up and down for the stability score.
        least: The least score that stays.
    """

    threshold: float
    offset: float
    least: float
