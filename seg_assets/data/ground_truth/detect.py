"""Which label format a source is in."""

import os
import re

from seg_assets.data.files import Folder, StorageOptions, open_folder, read_bytes
from seg_assets.data.formats.camvid import is_camvid
from seg_assets.data.ground_truth.label_files import PNG_SUFFIX
from seg_assets.data.ground_truth.voc import CLASSES
from seg_assets.errors import ImageError, InputError

_LOOKED_FOR = (
    "a COCO JSON (segments_info or segmentation), CamVid's lists, VOC's SegmentationClass, "
    "*_labelTrainIds.png, *_labelIds.png, folders trainIds or labelIds, ADE_*.png"
)
_ADE20K_NAME = re.compile(r"ADE_(train|val)_\d+\.png")


def detect_format(source: str | os.PathLike[str], storage_options: StorageOptions = None) -> str:
    """Look which label format a source is in; ids in plain PNGs never are, as they need a table.

    Raises:
        InputError: nothing is there, or nothing known; the message says what was looked for.
        StoreError: the storage does not answer.
    """
    folder = open_folder(source, storage_options)
    kind = folder.kind()
    if kind is None:
        raise InputError(f"{source} is not there: give ground truth that exists")
    if kind == "file":
        found = _of_file(folder, storage_options)
    else:
        found = _of_folders(folder) or _of_names(folder)
    if found is None:
        raise InputError(
            f"the label format of {source} is not recognised (looked for {_LOOKED_FOR}): name it, "
            "as png:<class table> for PNGs of class ids"
        )
    return found


def _of_file(file: Folder, storage_options: StorageOptions) -> str | None:
    if file.name.endswith(".txt"):
        return "camvid"
    if not file.name.endswith(".json"):
        return None
    try:
        data = read_bytes(file.uri_of(file.path), storage_options=storage_options)
    except ImageError as error:
        raise InputError(str(error)) from error
    if b'"segments_info"' in data:
        return "coco_panoptic"
    return "coco_instances" if b'"segmentation"' in data else None


def _of_folders(folder: Folder) -> str | None:
    """By the folder's own name and those of the folders in it."""
    where = folder.uri_of(folder.path)
    if is_camvid(where, folder.filesystem.storage_options):
        return "camvid"
    below = set(folder.top_folders())
    years = [folder.child(f"{name}/{CLASSES}") for name in below if name.startswith("VOC")]
    if CLASSES in (folder.name, *below) or any(folder.kind(path) == "folder" for path in years):
        return "voc"
    if "labelIds" in below and "instanceIds" in below:  # they say most
        return "cityscapes_ids"
    if "trainIds" in (folder.name, *below):
        return "cityscapes"
    if "labelIds" in (folder.name, *below):
        return "cityscapes_ids"
    return None


def _of_names(folder: Folder) -> str | None:
    """By the names of all PNGs below the folder."""
    names = [name for name in folder.files() if name.lower().endswith(PNG_SUFFIX)]
    kinds = {name[: -len(PNG_SUFFIX)].rpartition("_")[2] for name in names}
    if "labelIds" in kinds and ("instanceIds" in kinds or "labelTrainIds" not in kinds):
        return "cityscapes_ids"
    if "labelTrainIds" in kinds:
        return "cityscapes"
    if names and all(_ADE20K_NAME.fullmatch(name.rpartition("/")[2]) for name in names):
        return "ade20k"
    return None
