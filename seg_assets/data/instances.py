"""Open a data set of instance masks by the name of its format."""

import difflib
import inspect
import os
from collections.abc import Callable
from typing import Any

from seg_assets.data.formats.coco_instances import CocoInstances
from seg_assets.data.formats.instance_png import PngInstances
from seg_assets.data.formats.sa1b_masks import Sa1bInstances
from seg_assets.data.formats.voc_instances import VocInstances
from seg_assets.data.instance_image import NO_CLASS, InstanceDataset, InstanceImage, mask_box
from seg_assets.data.scene_instances import open_scenes
from seg_assets.errors import InputError

__all__ = [
    "FORMATS",
    "NO_CLASS",
    "InstanceDataset",
    "InstanceImage",
    "mask_box",
    "open_instances",
]

FORMATS: dict[str, Callable[..., InstanceDataset]] = {
    "coco": CocoInstances,
    "png": PngInstances,
    "sa1b": Sa1bInstances,
    "voc": VocInstances,
    "scenes": open_scenes,
}


def open_instances(path: str | os.PathLike[str], format: str, **options: Any) -> InstanceDataset:
    """Open a data set; images and masks are read when they are asked for.

    Args:
        path: where the data set lies, in the terms of its format; see docs/datasets.md.
        format: a key of `FORMATS`.
        options: keyword arguments of the format's reader.

    Raises:
        InputError: the format or an option is unknown, or the reader refuses what it finds.
        ImageError: an annotation file is missing or damaged.
        StoreError: the storage does not answer.
    """
    reader = FORMATS.get(format)
    if reader is None:
        raise InputError(
            f"there is no data set format {format!r}: choose one of {', '.join(FORMATS)}"
        )
    known = list(inspect.signature(reader).parameters)[1:]  # after the path
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"use {', '.join(known)}"
            raise InputError(f"the data set format {format!r} has no option {name!r}: {advice}")
    return reader(os.fspath(path), **options)
