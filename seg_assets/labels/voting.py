"""How many pixels of each label lie in each mask: runs of masks merged with runs of the map.

No mask is decoded and no pixel is looked at twice: the time goes with the length of the outlines.
"""

from collections.abc import Sequence

import numpy as np

from seg_assets.labels.label_runs import LabelRuns
from seg_assets.masks.rle import Rle, runs_of


def count_mask_votes(masks: Sequence[Rle], label_map: np.ndarray | LabelRuns) -> np.ndarray:
    """Count the labels inside each mask: (N, 256) int64, a column per label, 255 too.

    Args:
        masks: of one image; they may overlap.
        label_map: (H, W) uint8, or its runs where they are at hand.

    Raises:
        InputError: a mask has another size than the map, its run lengths are damaged, or the map
            is none.
    """
    from seg_assets.labels.label_run_kernels import count_labels  # noqa: PLC0415

    own = label_map if isinstance(label_map, LabelRuns) else LabelRuns.of(label_map)
    runs = runs_of(masks, own.height, own.width)
    counts = np.zeros((len(masks), 256), np.int64)
    count_labels(own.starts, own.labels, own.first, own.height, *runs, counts)
    return counts
