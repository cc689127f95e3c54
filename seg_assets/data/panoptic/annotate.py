"""One registered image with ground truth becomes segments."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from seg_assets.classes.table import IGNORE_ID
from seg_assets.data.files import Folder, StorageOptions, open_folder
from seg_assets.data.ground_truth import reader
from seg_assets.data.ground_truth.shard_truth import truth_of_shard
from seg_assets.data.id_maps import read_id_map
from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.from_maps import CROWD, segments_from_maps
from seg_assets.data.panoptic.layout import MAP_SUFFIX
from seg_assets.data.panoptic.params import PanopticParams
from seg_assets.data.panoptic.segments import SegmentedImage
from seg_assets.data.shards import ImageRef, Shard
from seg_assets.errors import ImageError, InputError


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Reads the ground truth of a shard's images as segments.

    Attributes:
        labels: reads the labels, and the objects where the format tells them apart.
        table: the categories.
        lookup: (256,) uint8, training id by class id of the label files; 255 for classes that the
            table does not have.
        instances: folder of the instance maps, <image id>.png each, which say more than the labels;
            None without.
        params: how label maps become segments.
        storage_options: keyword arguments of the fsspec file system of labels and instance maps.
    """

    labels: reader.GroundTruth
    table: CategoryTable
    lookup: np.ndarray
    instances: Folder | None
    params: PanopticParams
    storage_options: StorageOptions = None

    @classmethod
    def of_shard(
        cls,
        shard: Shard,
        table: CategoryTable,
        *,
        instances: str | None = None,
        params: PanopticParams | None = None,
        storage_options: StorageOptions = None,
    ) -> "GroundTruth":
        """Prepare to read a shard's ground truth.

        Classes and categories are matched by name; a class without a category is no label.

        Args:
            shard: the shard's definition.
            table: the categories.
            instances: folder or URL of the instance maps: grey PNGs of 8 or 16 bits under the
                images' ids, a number from 1 for each object, 0 for crowds. None: see `params`.
            params: how label maps become segments.
            storage_options: keyword arguments of the fsspec file system.

        Raises:
            InputError: the shard has no ground truth, no class is a category, or the folder is not
                there.
        """
        if shard.label_format is None or all(image.label_uri is None for image in shard.images):
            raise InputError(
                f"the shard {shard.name} has no ground truth to train on; register it with labels "
                "(`seg-assets shards add --labels ... --label-format ...`)"
            )
        labels = truth_of_shard(shard, storage_options=storage_options)
        classes = labels.table
        positions = {name: position for position, name in enumerate(table.names)}
        lookup = np.full(256, IGNORE_ID, np.uint8)
        for item in classes.classes:
            lookup[item.id] = positions.get(item.name, IGNORE_ID)
        if (lookup == IGNORE_ID).all():
            raise InputError(
                f"no class of {classes.name!r}, the table of shard {shard.name}, is a category; "
                f"name the categories as the classes, such as {classes.names[0]!r}"
            )
        folder = None
        if instances:
            folder = open_folder(instances, storage_options)
            if folder.kind() != "folder":
                raise InputError(
                    f"the folder {instances} of instance maps is not there: give one that exists"
                )
        return cls(
            labels,
            table,
            lookup,
            folder,
            params or PanopticParams(),
            storage_options,
        )

    def read(self, image: ImageRef, size: tuple[int, int]) -> SegmentedImage:
        """Read the segments of an image.

        Args:
            image: the image, with a label file.
            size: height and width of the upright picture.

        Raises:
            ImageError: a file is missing, damaged, or of another size than the picture.
            UnknownClassError: the labels hold ids that their class table does not have.
        """
        if image.label_uri is None:
            raise ImageError(f"{image.image_id} has no label file: give it one or leave it out")
        found = self.labels.read(image.image_id)
        label_map = found.label_map
        if label_map.shape != size:
            raise ImageError(
                f"{image.label_uri} is {label_map.shape[1]} x {label_map.shape[0]} pixels but its "
                f"picture {size[1]} x {size[0]}: give labels at the picture's size, upright"
            )
        instance_map = None
        if self.instances is not None:
            uri = self.instances.uri_of(self.instances.child(image.image_id + MAP_SUFFIX))
            instance_map = read_id_map(uri, size, self.storage_options)
        elif found.segment_ids is not None:
            groups = np.isin(found.segment_ids, list(found.crowds))
            instance_map = np.where(groups, CROWD, found.segment_ids)
        return segments_from_maps(
            self.lookup[label_map],
            self.table,
            image=image.image_id,
            instance_map=instance_map,
            params=self.params,
        )


def file_stems(images: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
    """Give each image of a split the name of its files: its id, flat.

    Ids that two shards share get the shard's name in front.

    Args:
        images: shard -> image ids.

    Returns:
        (shard, image id) -> stem.
    """
    pairs = [(shard, image_id) for shard, ids in images.items() for image_id in ids]
    flat = {pair: pair[1].replace("/", "_") for pair in pairs}
    count = Counter(flat.values())
    return {
        (shard, image_id): stem if count[stem] == 1 else f"{shard}_{stem}"
        for (shard, image_id), stem in flat.items()
    }
