"""Annotations in JSON, checked field by field so that a message can name what is wrong."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from seg_assets.data.files import StorageOptions, read_bytes
from seg_assets.data.images import MAX_PIXELS_VARIABLE, max_pixels
from seg_assets.data.shards import ImageRef
from seg_assets.errors import ImageError


def read_json(reference: ImageRef, storage_options: StorageOptions = None) -> dict[str, Any]:
    """Read a JSON object from a file or from its place in a tar file.

    Raises:
        ImageError: the file is missing, truncated, or holds something else.
        StoreError: the storage does not answer.
    """
    data = read_bytes(reference.uri, reference.offset, reference.size, storage_options)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(
            f"{reference.where} is truncated or is not JSON ({error}): fetch it again"
        ) from error
    if not isinstance(content, dict):
        raise ImageError(f"{reference.where} holds no JSON object: give a file of annotations")
    return content


def records(content: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """The list of objects under `key`.

    Raises:
        ImageError: there is no such list.
    """
    found = content.get(key)
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise ImageError(f"{where} has no list of objects {key!r}: give a file of annotations")
    return found


def field(record: Mapping[str, Any], key: str, kind: type | tuple[type, ...], what: str) -> Any:
    """The value under `key`, which has to be of this type.

    Raises:
        ImageError: it is missing or of another type.
    """
    value = record.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ImageError(f"{what} has {key} = {value!r}: write it as the data set's format asks")
    return value


def image_size(record: Mapping[str, Any], what: str) -> tuple[int, int]:
    """Height and width of an image record.

    Raises:
        ImageError: one of them is missing or no positive integer, or no image may be so large.
    """
    height, width = field(record, "height", int, what), field(record, "width", int, what)
    if height < 1 or width < 1:
        raise ImageError(f"{what} has a size of {height} x {width}: give its height and width")
    if height * width > (limit := max_pixels()):  # masks of this size are to be made
        raise ImageError(
            f"{what} has a size of {height} x {width} pixels, more than the limit of {limit}: "
            f"give its height and width, or raise {MAX_PIXELS_VARIABLE}"
        )
    return height, width


def corner_box(record: Mapping[str, Any], what: str) -> tuple[float, float, float, float] | None:
    """The bbox x, y, width, height of an annotation as x0, y0, x1, y1.

    Returns:
        None where there is no bbox or it has no extent.

    Raises:
        ImageError: the bbox is not four finite numbers.
    """
    box = record.get("bbox")
    if box is None:
        return None
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(isinstance(number, int | float) and math.isfinite(number) for number in box)
    ):
        raise ImageError(f"{what} has bbox = {box!r}: write x, y, width, height")
    x, y, width, height = box
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def check_pixels(pixels: np.ndarray, height: int, width: int, what: str, where: str) -> None:
    """Refuse an image of another size than its annotations speak of.

    Raises:
        ImageError: it is.
    """
    if pixels.shape[:2] != (height, width):
        raise ImageError(
            f"{what} is {height} x {width} pixels by {where}, but the file is "
            f"{pixels.shape[0]} x {pixels.shape[1]}: give the image that was annotated"
        )
