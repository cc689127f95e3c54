"""Ground truth: label files of data sets as maps of class ids, 255 = no label."""

import numpy as np

from seg_assets.classes.table import IGNORE_ID
from seg_assets.data.files import StorageOptions, read_bytes
from seg_assets.data.images import open_image
from seg_assets.errors import ImageError, InputError

_ADE20K = "ade20k"
_ADE20K_TABLE = "ade150"
_CAMVID = "camvid"
_CAMVID_TABLE = "camvid11"
# CamVid's 11-class release numbers "unlabelled" after its classes.
_CAMVID_UNLABELLED = 11
_PNG_PREFIX = "png:"


def label_table(label_format: str) -> str:
    """Name of the class table whose ids a label format holds.

    Args:
        label_format: "camvid"; "ade20k", whose files count from 1 and write 0 for no label; or
            "png:<class table>" for ids in a grey or indexed PNG.

    Raises:
        InputError: the format is unknown; an unknown table is for `load_class_table` to refuse.
    """
    if label_format == _CAMVID:
        return _CAMVID_TABLE
    if label_format == _ADE20K:
        return _ADE20K_TABLE
    table = label_format.removeprefix(_PNG_PREFIX)
    if not label_format.startswith(_PNG_PREFIX) or not table:
        raise InputError(
            f"the label format {label_format!r} is unknown: use 'camvid', 'ade20k' or "
            "'png:<class table>', such as png:cityscapes19"
        )
    return table


def read_label_map(
    uri: str, label_format: str, storage_options: StorageOptions = None
) -> np.ndarray:
    """Read the ground truth of one image.

    Ids are checked against the class table where the map is used, not here.

    Args:
        uri: the label file.
        label_format: see `label_table`.
        storage_options: keyword arguments of the fsspec file system.

    Returns:
        (H, W) uint8 class ids of `label_table(label_format)`; 255 = no label.

    Raises:
        ImageError: the file is missing, damaged, or holds colours or ids above 255.
        InputError: the format is unknown.
    """
    label_table(label_format)
    ids = _decode_ids(read_bytes(uri, storage_options=storage_options), uri)
    if label_format == _CAMVID:
        ids = np.where(ids == _CAMVID_UNLABELLED, np.uint8(IGNORE_ID), ids)
    elif label_format == _ADE20K:
        ids = ids - np.uint8(1)  # 0, no label, becomes 255 by the wrap of uint8
    return ids


def _decode_ids(data: bytes, where: str) -> np.ndarray:
    """Take the stored numbers of a PNG as they are: a palette's indices, not its colours."""
    image = open_image(data, where, formats=("PNG",))
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(
            f"the label file {where} is truncated or damaged ({error}): fetch it again"
        ) from error
    if image.mode not in ("1", "L", "P", "I", "I;16"):
        raise ImageError(
            f"the label file {where} holds colours ({image.mode}), not class ids: convert it to a "
            "grey or indexed PNG of ids"
        )
    ids = np.asarray(image)
    if ids.max() > IGNORE_ID:
        raise ImageError(
            f"the label file {where} holds the id {ids.max()}: ids go up to 254, and 255 means no "
            "label"
        )
    return ids.astype(np.uint8)
