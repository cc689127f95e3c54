"""Images in a folder and all folders below it, on this machine or under an s3:// prefix."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from seg_assets.data.files import Folder, StorageOptions, open_folder
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.images import IMAGE_SUFFIXES
from seg_assets.data.shards import ImageRef
from seg_assets.errors import InputError


def is_image_name(name: str) -> bool:
    """Whether a file name has the extension of an image, in upper or lower case."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def image_ids(names: Iterable[str]) -> dict[str, str]:
    """Give each file name (relative, with slashes) its image id, sorted by id.

    The id is the name without extension; files that would share one (a.jpg, a.png) keep theirs.

    Returns:
        image id -> file name.

    Raises:
        InputError: two names give one id all the same (a.jpg, a.png and a.jpg.png), or one is none.
    """
    names = list(names)
    if nameless := [name for name in names if not PurePosixPath(name).name]:
        raise InputError(f"an image has the file name {nameless[0]!r}: give it a name")
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
    truth: GroundTruth | None = None,
    storage_options: StorageOptions = None,
) -> list[ImageRef]:
    """List the images below a folder, or the one image that `source` is.

    Args:
        source: a folder, an s3:// prefix, or an image file.
        truth: the ground truth of the images. Where it lies inside `source`, it is left out of the
            images.
        storage_options: keyword arguments of the fsspec file system.

    Returns:
        One reference per image, sorted by image id.

    Raises:
        InputError: nothing is there, nothing is an image, or no image has ground truth.
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
    if truth is not None:
        names = _without_labels(names, folder, truth, storage_options)
    if not names:
        raise InputError(
            f"{source} holds no images: give files ending in {', '.join(IMAGE_SUFFIXES)}"
        )
    images = references(folder, names, truth)
    if truth is not None and all(image.label_uri is None for image in images):
        known = truth.image_ids()
        of = f"of {len(known)} images such as {known[0]}" if known else "of no image"
        raise InputError(
            f"no image of {source} has ground truth in {truth.source}: it is {of}, while the "
            f"images are named like {images[0].image_id}"
        )
    return images


def references(
    folder: Folder, names: Iterable[str], truth: GroundTruth | None = None
) -> list[ImageRef]:
    """Refer to files of a folder by image id, sorted by it.

    Args:
        folder: where the files lie.
        names: their names relative to it.
        truth: the ground truth of the images.
    """
    return [
        ImageRef(
            image_id,
            folder.uri_of(folder.child(name)),
            label_uri=None if truth is None else truth.label_uri(image_id),
        )
        for image_id, name in image_ids(names).items()
    ]


def _without_labels(
    names: Iterable[str], folder: Folder, truth: GroundTruth, storage_options: StorageOptions
) -> list[str]:
    """Those of the file names that are no label files."""
    labels = open_folder(truth.source, storage_options)
    if labels == folder:
        raise InputError(
            f"{truth.source} is given for images and labels: "
            "put the labels into a folder of their own"
        )
    if folder.path.startswith(f"{labels.path}/"):
        return list(names)  # the folder of the images lies among the labels, not they in it
    files = {truth.label_uri(image_id) for image_id in truth.image_ids()}
    return [
        name
        for name in names
        if not folder.child(name).startswith(f"{labels.path}/")
        and folder.uri_of(folder.child(name)) not in files
    ]
