"""Builds a split of a training data set out of images with ground truth."""

import logging
import os
from collections.abc import Mapping, Sequence

from seg_assets.classes.table import load_class_table
from seg_assets.data.files import StorageOptions, read_bytes
from seg_assets.data.label_maps import label_table
from seg_assets.data.panoptic.annotate import GroundTruth, file_stems
from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.grounding import refer_to_segments
from seg_assets.data.panoptic.panoptic_png import encode_panoptic
from seg_assets.data.panoptic.params import GroundingParams, PanopticParams
from seg_assets.data.panoptic.pictures import to_jpeg
from seg_assets.data.panoptic.semantic_png import encode_semantic
from seg_assets.data.panoptic.sentences import UserSentences
from seg_assets.data.panoptic.writer import AnnotatedImage, SplitSummary, SplitWriter
from seg_assets.data.shards import Shard
from seg_assets.errors import ImageError, InputError, UnknownClassError

logger = logging.getLogger(__name__)

_PANOPTIC, _GROUNDING = PanopticParams(), GroundingParams()


def build_dataset(
    root: str | os.PathLike[str],
    split: str,
    shards: Sequence[Shard],
    *,
    categories: CategoryTable | None = None,
    instances: str | None = None,
    sentences: Mapping[str, Sequence[UserSentences]] | None = None,
    panoptic: PanopticParams = _PANOPTIC,
    grounding: GroundingParams = _GROUNDING,
    storage_options: StorageOptions = None,
) -> SplitSummary:
    """Build <root>/<split> out of shards with ground truth, one image at a time.

    `layout` says which files it has. A split of this name is replaced in one step when the new one
    is whole; a build that is stopped changes nothing. The same inputs give the same bytes. Images
    without a label file, or with files that cannot be read, are left out and named in the summary.

    Args:
        root: the folder of the data set, on this machine.
        split: "train", "validation" or another name.
        shards: of `load_shard` for registered ones, or of `find_shards` for any folder.
        categories: in training order, matched to the labels' classes by name; None for the label
            files' own classes.
        instances: folder of instance maps, see `GroundTruth.of_shard`.
        sentences: a user's own, by image id.
        panoptic: how label maps become segments.
        grounding: what is said about segments.
        storage_options: keyword arguments of the fsspec file system of images and labels.

    Raises:
        InputError: no shards, no ground truth, no readable image, or a category table that does not
            fit.
        StoreError: the folder cannot be written, or the storage does not answer.
    """
    if not shards:
        raise InputError(f"the split {split} has no shards; give at least one")
    table = categories or _own_categories(shards)
    truths = {
        shard.name: GroundTruth.of_shard(
            shard, table, instances=instances, params=panoptic, storage_options=storage_options
        )
        for shard in shards
    }
    stems = file_stems({s.name: [image.image_id for image in s.images] for s in shards})
    made_of = {
        "shards": {shard.name: len(shard.images) for shard in shards},
        "instance_maps": instances is not None,
        "panoptic": panoptic.model_dump(),
        "grounding": grounding.model_dump(),
    }
    said = sentences or {}
    if strangers := said.keys() - {image_id for _, image_id in stems}:
        raise InputError(
            f"there are sentences for {min(strangers)}, which is no image of the split {split}; "
            "name images by their ids"
        )
    with SplitWriter(root, split, table, made_of) as writer:
        for shard in shards:
            for image in shard.images:
                truth = truths[shard.name]
                try:
                    data = read_bytes(image.uri, image.offset, image.size, storage_options)
                    jpeg, height, width = to_jpeg(data, image.where)
                    segmented = truth.read(image, (height, width))
                except (ImageError, UnknownClassError) as error:
                    writer.fail(image.image_id, str(error))
                    continue
                user = said.get(image.image_id, ())
                annotated = AnnotatedImage(
                    stem=stems[shard.name, image.image_id],
                    jpeg=jpeg,
                    height=height,
                    width=width,
                    panoptic_png=encode_panoptic(segmented.ids),
                    segments=segmented.segments,
                    semantic_png=encode_semantic(segmented.semantic(table), table),
                    referrals=refer_to_segments(
                        segmented, table, image=image.image_id, params=grounding, user=user
                    ),
                )
                writer.add(annotated)
    return writer.summary


def _own_categories(shards: Sequence[Shard]) -> CategoryTable:
    """The classes of the label files, which all shards must share.

    Raises:
        InputError: there are no label files, or they are of different classes.
    """
    names = sorted({label_table(s.label_format) for s in shards if s.label_format is not None})
    if not names:
        raise InputError("the shards have no ground truth to train on; register them with labels")
    if len(names) > 1:
        raise InputError(
            f"the shards' labels are of the class tables {' and '.join(names)}; give a category "
            "table of your own"
        )
    return CategoryTable.from_class_table(load_class_table(names[0]))
