"""Scores of the semantic classes at every pixel, stored for programs that cannot rebuild them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.errors import InputError, StoreError
from seg_assets.labels.logit_factors import LogitFactors
from seg_assets.storage.arrays import decode_float16

STEP = 2.0**-10
"""Stored scores are multiples of this, as far as float16 holds them: exactly up to 2.

So a score is off by at most 2^-11, above 2 by 2^-11 of itself more; where a class has next to no
score there are zeros, which compress to nothing.
"""


MOST_BYTES = 2**31 - 2**10  # Parquet counts the bytes of a page in an int32


def check_storable(classes: int, size: tuple[int, int]) -> None:
    """Find out before any work whether the scores of an image can be stored.

    Args:
        classes: of the semantic maps.
        size: (height, width) of the image.

    Raises:
        InputError: they are larger than what Parquet holds.
    """
    wanted = 2 * classes * size[0] * size[1]
    if wanted > MOST_BYTES:
        raise InputError(
            f"dense scores of {classes} classes and {size[0]} x {size[1]} pixels take "
            f"{wanted / 1e9:.1f} GB and Parquet holds 2.1 GB per image: leave out dense_scores, "
            "choose semantic_classes with fewer classes, or take smaller images"
        )


def encode_scores(factors: LogitFactors, class_map: ClassMap) -> memoryview:
    """The scores of each class of the map's target table, summed over the classes that become it.

    Args:
        factors: of an image of H x W pixels.
        class_map: from the model's own classes.

    Returns:
        Bytes of float16, little endian, (target classes, H, W): the only copy of the scores.

    Raises:
        InputError: the map starts from other classes than the scores, or there are more scores than
            can be stored.
    """
    check_storable(len(class_map.target), factors.output_size)
    scores = np.zeros((len(class_map.target), *factors.output_size), "<f2")
    for start, labels, band in factors.score_bands(class_map=class_map):
        scores[labels, start : start + band.shape[1]] = np.rint(band / STEP) * STEP
    return scores.reshape(-1).view(np.uint8).data


def decode_scores(row: Mapping[str, Any]) -> np.ndarray:
    """Read the scores of a row of `seem_logits` back: (classes, H, W) float16, read-only.

    The classes are those of the semantic maps, which the shard's manifest names.

    Raises:
        StoreError: the row holds none, or too few bytes.
    """
    data, size = row.get("dense_scores"), (row["height"], row["width"])
    if data is None:
        raise StoreError(
            f"the scores of image {row['image_id']} are stored as factors only: use "
            "LogitFactors.from_row(row).scores(), or materialise seem_logits with dense_scores"
        )
    return decode_float16(data, (len(data) // (2 * size[0] * size[1]), *size))
