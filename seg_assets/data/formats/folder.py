"""Images in a folder and all folders below it, on this machine or under an s3:// prefix."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from seg_assets.data.files import Folder, StorageOptions, open_folder
from seg_assets.data.images import IMAGE_SUFFIXES
from seg_assets.data.shards import ImageRef
from seg_assets.errors import InputError

LABEL_SUFFIX = ".png"


def is_image_name(name: str) -> bool:
    """Whether a file name has the extension of an image, in upper or lower case."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def image_ids(names: Iterable[str]) -> dict[str, str]:
    """Give each file name (relative, with slashes) its image id, sorted by id.

    The id is the name without extension; files that would share one (a.jpg, a.png) keep theirs.

    Returns:
        image id -> file name.

    Raises:
        InputError: two names give one id all the same (a.jpg, a.png and a.jpg.png).
    """
    stems = {name: str(PurePosixPath(name).with_suffix("")) for name in names}
    shared = Counter(stems.values())
    ids: dict[str, str] = {}
    for name, stem in sorted(stems.items()):
        image_id = stem if shared[stem] == 1 else name
        other = ids.setdefault(image_id, name)
        if other != name:
            raise InputError(
                f"{other} and {name} would both have the image id {image_id}: rename one of them"
            )
    return dict(sorted(ids.items()))


def find_folder_images(
    source: str | os.PathLike[str],
    *,
    label_root: str | os.PathLike[str] | None = None,
    storage_options: StorageOptions = None,
) -> list[ImageRef]:
    """List the images below a folder, or the one image that `source` is.

    Args:
        source: a folder, an s3:// prefix, or an image file.
        label_root: a folder with the ground truth: the same relative names, ending in .png. Where
            it lies inside `source`, it is left out of the images.
        storage_options: keyword arguments of the fsspec file system, for `source` and `label_root`.

    Returns:
        One reference per image, sorted by image id.

    Raises:
        InputError: nothing is there, nothing is an image, or no image has a label.
        StoreError: the storage does not answer.
    """
    folder = open_folder(source, storage_options)
    kind = folder.kind()
    if kind is None:
        raise InputError(f"{source} is not there: give a folder or an image that exists")
    if kind == "file":
        folder, listed = folder.parent, [folder.name]
    else:
        listed = list(folder.files())
    names = [name for name in listed if is_image_name(name)]
    labels: dict[str, str] = {}
    if label_root is not None:
        label_folder = open_folder(label_root, storage_options)
        labels = _label_uris(label_folder, label_root)
        if label_folder == folder:
            raise InputError(
                f"{source} is given for images and labels: "
                "put the labels into a folder of their own"
            )
        names = [n for n in names if not folder.child(n).startswith(label_folder.path + "/")]
    if not names:
        raise InputError(
            f"{source} holds no images: give files ending in {', '.join(IMAGE_SUFFIXES)}"
        )
    images = references(folder, names, labels)
    if label_root is not None and all(image.label_uri is None for image in images):
        raise InputError(
            f"no image of {source} has a label below {label_root}: a label has the relative name "
            f"of its image, such as {images[0].image_id}{LABEL_SUFFIX}"
        )
    return images


def references(
    folder: Folder, names: Iterable[str], labels: Mapping[str, str] | None = None
) -> list[ImageRef]:
    """Refer to files of a folder by image id, sorted by it.

    Args:
        folder: where the files lie.
        names: their names relative to it.
        labels: image id -> URL of the ground truth.
    """
    return [
        ImageRef(
            image_id, folder.uri_of(folder.child(name)), label_uri=(labels or {}).get(image_id)
        )
        for image_id, name in image_ids(names).items()
    ]


def _label_uris(folder: Folder, label_root: str | os.PathLike[str]) -> dict[str, str]:
    if folder.kind() != "folder":
        raise InputError(f"the label folder {label_root} is not there: give a folder that exists")
    names = [name for name in folder.files() if name.lower().endswith(LABEL_SUFFIX)]
    return {name[: -len(LABEL_SUFFIX)]: folder.uri_of(folder.child(name)) for name in names}
