"""Open ground truth by the name of its format."""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

from seg_assets.data.files import StorageOptions, open_folder
from seg_assets.data.ground_truth.ade20k import Ade20kLabels
from seg_assets.data.ground_truth.camvid import CamvidLabels
from seg_assets.data.ground_truth.cityscapes import CityscapesIds, CityscapesLabels
from seg_assets.data.ground_truth.coco_instances import CocoInstances
from seg_assets.data.ground_truth.coco_panoptic import CocoPanoptic
from seg_assets.data.ground_truth.detect import detect_format
from seg_assets.data.ground_truth.label_files import LabelFiles
from seg_assets.data.ground_truth.png import PngLabels
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.ground_truth.voc import VocLabels
from seg_assets.data.label_maps import label_table

LABEL_FILES: Mapping[str, type[LabelFiles]] = MappingProxyType(
    {
        "png": PngLabels,
        "camvid": CamvidLabels,
        "ade20k": Ade20kLabels,
        "cityscapes": CityscapesLabels,
        "cityscapes_ids": CityscapesIds,
        "foggy_driving": CityscapesLabels,
        "voc": VocLabels,
    }
)
"""Readers of formats with a file per image."""

_READERS: dict[str, Callable[..., GroundTruth]] = {
    **LABEL_FILES,
    "coco_panoptic": CocoPanoptic,
    "coco_instances": CocoInstances,
}

FORMATS = ("auto", *_READERS)
"""What comes before the colon of a label format."""


def open_ground_truth(
    source: str | os.PathLike[str], format: str = "auto", *, storage_options: StorageOptions = None
) -> GroundTruth:
    """Open the ground truth of a data set; label files are read when they are asked for.

    Args:
        source: where it lies, in the terms of its format; see docs/ground_truth.md.
        format: one of `FORMATS`. png needs a class table behind it, as png:cityscapes19; voc,
            coco_panoptic and coco_instances may have one. "auto" looks at the source.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: the format or its class table is unknown, or "auto" recognises nothing.
    """
    if format == "auto":
        format = detect_format(source, storage_options)
    label_table(format)
    reader = _READERS[format.partition(":")[0]]
    folder = open_folder(source, storage_options)
    # absolute, so that it is found again from any working directory
    return reader(folder.uri_of(folder.path), format, storage_options=storage_options)
