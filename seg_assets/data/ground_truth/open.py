"""Open ground truth by the name of its format."""

import os
from collections.abc import Callable

from seg_assets.data.files import StorageOptions
from seg_assets.data.ground_truth.png import PngLabels
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.label_maps import label_table

_READERS: dict[str, Callable[..., GroundTruth]] = {"png": PngLabels}

FORMATS = ("auto", *_READERS)
"""What comes before the colon of a label format."""


def open_ground_truth(
    source: str | os.PathLike[str], format: str = "auto", *, storage_options: StorageOptions = None
) -> GroundTruth:
    """Open the ground truth of a data set; label files are read when they are asked for.

    Args:
        source: where it lies, in the terms of its format; see docs/ground_truth.md.
        format: one of `FORMATS`; png needs the class table behind it, as png:cityscapes19.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: the format or its class table is unknown.
    """
    label_table(format)
    reader = _READERS[format.partition(":")[0]]
    return reader(os.fspath(source), format, storage_options=storage_options)
