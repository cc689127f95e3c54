"""From a map of segments to one mask per segment, without painting a mask."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from pycocotools import mask as pycocotools_mask

_coco: Any = pycocotools_mask  # its type hints leave out half of what its functions accept


def encode_segments(segment_ids: np.ndarray, chosen: Iterable[int]) -> dict[int, bytes]:
    """Write the masks of some segments as COCO's compressed run lengths.

    Args:
        segment_ids: (H, W) int32.
        chosen: ids that occur in the map.

    Returns:
        Segment id -> run lengths of (H, W), as pycocotools encodes the mask.
    """
    height, width = segment_ids.shape
    pixels = segment_ids.T.ravel()  # down the columns, as COCO counts
    begins = np.ones(pixels.size, bool)
    np.not_equal(pixels[1:], pixels[:-1], out=begins[1:])
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], pixels.size)
    values = pixels[starts]
    order = np.argsort(values, kind="stable")
    sorted_values = values[order]
    masks: dict[int, bytes] = {}
    for segment in chosen:
        first, last = np.searchsorted(sorted_values, [segment, segment + 1])
        runs = order[first:last]
        edges = np.stack([starts[runs], stops[runs]], axis=1).ravel()
        counts = np.diff(edges, prepend=0, append=pixels.size)
        if counts[-1] == 0:  # nothing follows the last run
            counts = counts[:-1]
        coded = {"size": [height, width], "counts": counts.tolist()}
        masks[segment] = _coco.frPyObjects(coded, height, width)["counts"]
    return masks
