"""Segment ids as colours: id = R + 256 G + 65536 B, and a colour for every segment of an image."""

import hashlib

import numpy as np

from seg_assets.data.panoptic.base_colors import BLACK, WHITE
from seg_assets.data.panoptic.categories import Category, CategoryTable

SPREAD = 30
"""How far, per channel, an instance's colour may lie from its category's (as in panopticapi)."""

_TRIES_PER_SPREAD = 1000


def rgb_to_id(rgb: np.ndarray | tuple[int, int, int]) -> np.ndarray:
    """Turn colours into segment ids.

    Args:
        rgb: (..., 3) integers 0..255.

    Returns:
        (...) int32, 0..16777215.
    """
    channels = np.asarray(rgb).astype(np.int32)
    return channels[..., 0] | channels[..., 1] << 8 | channels[..., 2] << 16


def id_to_rgb(ids: np.ndarray | int) -> np.ndarray:
    """Turn segment ids into colours.

    Args:
        ids: (...) integers, 0..16777215.

    Returns:
        (..., 3) uint8.
    """
    values = np.asarray(ids)
    rgb = np.empty((*values.shape, 3), np.uint8)
    for channel in range(3):
        rgb[..., channel] = values >> (8 * channel) & 0xFF
    return rgb


class SegmentColors:
    """Gives the segments of one image their ids; the same image gets the same ids every time.

    Stuff has its category's colour. So has the first instance of a thing; each further one has a
    colour at most `SPREAD` away in each channel, which no category and no other segment of the
    image has. The draws are hashes of seed, image, category and number: they depend neither on
    the order of the categories nor on a library's random numbers.

    Args:
        table: the categories.
        image: what tells images apart, such as the image id.
        seed: gives other colours.

    Raises:
        InputError: the table has a colour that cannot be painted, see `check_colors`.
    """

    def __init__(self, table: CategoryTable, image: str, seed: int = 0) -> None:
        table.check_colors()
        self._key = f"{seed}/{image}"
        self._taken = {int(rgb_to_id(color)) for color in (BLACK, WHITE)}
        self._taken |= {int(rgb_to_id(item.color)) for item in table.categories}
        self._given: dict[int, int] = {}

    def next_id(self, category: Category) -> int:
        """Return the id of the next segment of a category; always the same one for stuff."""
        given = self._given.get(category.id, 0)
        if not category.is_thing or given == 0:
            self._given[category.id] = 1
            return int(rgb_to_id(category.color))
        self._given[category.id] = given + 1
        attempt = 0
        while True:
            segment_id = self._draw(category, given, attempt)
            if segment_id not in self._taken:
                self._taken.add(segment_id)
                return segment_id
            attempt += 1

    def _draw(self, category: Category, number: int, attempt: int) -> int:
        text = f"{self._key}/{category.id}/{number}/{attempt}"
        digest = hashlib.sha256(text.encode()).digest()
        # A crowd of tens of thousands would exhaust the neighbourhood: then it grows.
        spread = SPREAD * (1 + attempt // _TRIES_PER_SPREAD)
        channels = []
        for channel, base in enumerate(category.color):
            drawn = int.from_bytes(digest[4 * channel : 4 * channel + 4], "big")
            channels.append(min(max(base + drawn % (2 * spread + 1) - spread, 0), 255))
        red, green, blue = channels
        return int(rgb_to_id((red, green, blue)))
