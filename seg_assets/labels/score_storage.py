"""Scores of the semantic classes at every pixel, stored for programs that cannot rebuild them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seg_assets.classes.mapping import ClassMap
from seg_assets.errors import StoreError
from seg_assets.labels.logit_factors import LogitFactors
from seg_assets.storage.arrays import decode_float16, encode_float16

STEP = 2.0**-10
"""Stored scores are multiples of this, as far as float16 holds them: exactly up to 2.

So a score is off by at most 2^-11, above 2 by 2^-11 of itself more; where a class has next to no
score there are zeros, which compress to nothing.
"""


def encode_scores(factors: LogitFactors, class_map: ClassMap) -> bytes:
    """The scores of each class of the map's target table, summed over the classes that become it.

    Args:
        factors: of an image of H x W pixels.
        class_map: from the model's own classes.

    Returns:
        float16, little endian, (target classes, H, W).

    Raises:
        InputError: the map starts from other classes than the scores.
    """
    scores = np.zeros((len(class_map.target), *factors.output_size), np.float16)
    for start, labels, band in factors.score_bands(class_map=class_map):
        scores[labels, start : start + band.shape[1]] = np.rint(band / STEP) * STEP
    return encode_float16(scores)


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
