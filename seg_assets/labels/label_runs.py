"""A label map as runs down its columns: built once per image, read by everything that counts.

The kernels are imported where they are called: definitions load without Numba.
"""

from typing import NamedTuple

import numpy as np

from seg_assets.data.run_lengths import paint_masks
from seg_assets.errors import InputError
from seg_assets.masks.rle import Rle, runs_of


class LabelRuns(NamedTuple):
    """Runs of equal labels. A run never goes over the end of a column.

    Attributes:
        starts: First pixel of each run, then the number of pixels, (N + 1,) int64. Row y, column x
            is pixel x * height + y.
        labels: Label of each run, (N,) uint8.
        first: First run of each column, then the number of runs, (W + 1,) int64.
        height: Rows of the map.
        width: Columns of the map.
    """

    starts: np.ndarray
    labels: np.ndarray
    first: np.ndarray
    height: int
    width: int

    @classmethod
    def of(cls, label_map: np.ndarray) -> "LabelRuns":
        """The runs of a label map, (H, W) uint8.

        Raises:
            InputError: the map has another shape or type, or no pixel.
        """
        from seg_assets.labels.label_run_kernels import find_runs  # noqa: PLC0415

        if label_map.ndim != 2 or label_map.dtype != np.uint8 or label_map.size == 0:
            raise InputError(
                f"a label map is (H, W) uint8 with at least one pixel, not {label_map.dtype} of "
                f"{label_map.shape}"
            )
        return cls(*find_runs(np.ascontiguousarray(label_map)), *label_map.shape)

    def masks(self) -> dict[int, Rle]:
        """The pixels of each label as run lengths, by ascending label, 255 too.

        Together they are a partition of the image. The run lengths are those that pycocotools
        writes for the same pixels.
        """
        from seg_assets.labels.label_run_kernels import write_labels  # noqa: PLC0415

        text, bounds = write_labels(self.starts, self.labels)
        return {
            int(label): Rle(
                self.height, self.width, text[bounds[label] : bounds[label + 1]].tobytes()
            )
            for label in np.flatnonzero(np.diff(bounds))
        }


def map_of_masks(masks: dict[int, Rle], height: int, width: int) -> np.ndarray:
    """The label map whose masks these are, (H, W) uint8; 255 in no mask.

    Args:
        masks: by label, 0 to 255; they do not overlap.
        height: rows of the map.
        width: columns of the map.

    Raises:
        InputError: a mask has another size or is damaged, masks overlap, or a label is outside.
    """
    if not all(0 <= label <= 255 for label in masks):
        raise InputError(f"labels of a map are 0 to 255, not {sorted(masks)}")
    nothing = np.full((height, width), 255, np.uint8)
    runs = runs_of(list(masks.values()), height, width)
    label_map = paint_masks(runs, np.array(list(masks), np.uint8), nothing)
    covered = np.bincount(label_map.ravel(), minlength=256)
    if 255 in masks:  # other pixels have this number, too
        covered[255] = np.count_nonzero(label_map[masks[255].decode()] == 255)
    for label, mask in masks.items():
        if covered[label] < mask.area:
            raise InputError(f"the mask of label {label} overlaps another: that is no label map")
    return label_map
