"""Which images and which ground truth have found each other."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.errors import InputError


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is missing on either side.

    Attributes:
        images: all images.
        images_without_truth: their ids, sorted.
        truth_without_image: ids of the truth that belongs to none of the images, sorted.
    """

    images: int
    images_without_truth: tuple[str, ...]
    truth_without_image: tuple[str, ...]


def cover(truth: GroundTruth, image_ids: Iterable[str]) -> Coverage:
    """Look for the truth of each image.

    Raises:
        InputError: two images of one name, in different folders, would share the same truth; or the
            truth cannot be listed.
        StoreError: the storage does not answer.
    """
    owner: dict[tuple[str, str], str] = {}
    without: list[str] = []
    ids = sorted(image_ids)
    for image_id in ids:
        own = truth.find(image_id)
        if own is None:
            without.append(image_id)
            continue
        other = owner.setdefault((own, PurePosixPath(image_id).name), image_id)
        if other != image_id:
            raise InputError(
                f"the images {other} and {image_id} would both have the ground truth of {own} in "
                f"{truth.source}: register the folder that its images lie in"
            )
    used = {own for own, _ in owner}
    unused = tuple(own for own in truth.image_ids() if own not in used)
    return Coverage(len(ids), tuple(without), unused)
