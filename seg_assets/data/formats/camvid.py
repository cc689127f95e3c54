"""CamVid with 11 classes: lists of image and label pairs, one list per split.

    train.txt  val.txt  test.txt     "images/val/a.jpg labels/val/a.png" per line, relative to here
    images/<split>/...  labels/<split>/...

Labels are read by `label_maps` as "camvid".
"""

import os

from seg_assets.data.files import Folder, StorageOptions, open_folder, read_bytes
from seg_assets.data.formats.folder import image_ids
from seg_assets.data.shards import ImageRef
from seg_assets.errors import ImageError, InputError

LABEL_FORMAT = "camvid"
SPLITS = ("test", "train", "val")
_IMAGE_FOLDER = "images/"


def is_camvid(source: str | os.PathLike[str], storage_options: StorageOptions = None) -> bool:
    """Whether a folder has the layout: a split's list beside the folders images and labels."""
    folder = open_folder(source, storage_options)
    has_folders = all(folder.kind(folder.child(name)) == "folder" for name in ("images", "labels"))
    return has_folders and bool(_splits(folder))


def find_camvid_images(
    source: str | os.PathLike[str], storage_options: StorageOptions = None
) -> dict[str, list[ImageRef]]:
    """List the images of each split with their labels.

    Args:
        source: the folder, or the list of one split in it (".../val.txt").
        storage_options: keyword arguments of the fsspec file system.

    Returns:
        split -> references sorted by image id. The id is the image's path below images/, without
        extension ("val/0016E5_07959").

    Raises:
        InputError: no list is there, or a line of it is not a pair of relative paths.
    """
    folder = open_folder(source, storage_options)
    if folder.path.endswith(".txt"):
        splits = [folder.name.removesuffix(".txt")]
        folder = folder.parent
    else:
        splits = _splits(folder)
    if not splits:
        names = ", ".join(f"{split}.txt" for split in SPLITS)
        raise InputError(f"{source} holds none of {names}: give a folder in CamVid's layout")
    return {split: _read_split(folder, split, storage_options) for split in splits}


def _splits(folder: Folder) -> list[str]:
    return [s for s in SPLITS if folder.kind(folder.child(f"{s}.txt")) == "file"]


def _read_split(folder: Folder, split: str, storage_options: StorageOptions) -> list[ImageRef]:
    where = folder.uri_of(folder.child(f"{split}.txt"))
    try:
        lines = read_bytes(where, storage_options=storage_options).decode().splitlines()
    except ImageError as error:
        raise InputError(f"{where} cannot be read: give a split's list that exists") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not a text file: give CamVid's list of pairs") from error
    labels: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        pair = line.split()
        if not pair:
            continue
        if len(pair) != 2 or any(_leaves_folder(path) for path in pair):
            raise InputError(
                f"line {number} of {where} is {line!r}: write the image's path, a space and the "
                "label's path, both relative to the list"
            )
        image, label = pair
        if image in labels:
            raise InputError(
                f"line {number} of {where} lists {image} again: remove one of the lines"
            )
        labels[image] = label
    if not labels:
        raise InputError(f"{where} lists no images: give one pair of paths per line")
    shown = {path.removeprefix(_IMAGE_FOLDER): path for path in labels}
    return [
        ImageRef(
            image_id,
            folder.uri_of(folder.child(shown[name])),
            label_uri=folder.uri_of(folder.child(labels[shown[name]])),
        )
        for image_id, name in image_ids(shown).items()
    ]


def _leaves_folder(path: str) -> bool:
    return any(part in ("", ".", "..") for part in path.split("/"))
