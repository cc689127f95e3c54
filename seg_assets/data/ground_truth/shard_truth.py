"""The ground truth of a registered shard."""

from seg_assets.data.files import StorageOptions
from seg_assets.data.ground_truth.open import LABEL_FILES, open_ground_truth
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.shards import Shard
from seg_assets.errors import InputError


def truth_of_shard(shard: Shard, *, storage_options: StorageOptions = None) -> GroundTruth:
    """Open the ground truth of a shard's images.

    Label files are those that were registered; nothing is listed. A JSON file is read once.

    Args:
        shard: the shard's definition; of older releases too, which knew label files only.
        storage_options: keyword arguments of the fsspec file system.

    Raises:
        InputError: the shard was registered without ground truth, or its format is unknown.
    """
    if shard.label_format is None:
        raise InputError(
            f"the shard {shard.name} has no ground truth: register it with labels "
            "(`seg-assets shards add --labels ... --label-format ...`)"
        )
    reader = LABEL_FILES.get(shard.label_format.partition(":")[0])
    if reader is not None:
        files = {i.image_id: i.label_uri for i in shard.images if i.label_uri is not None}
        source = shard.label_source or f"the shard {shard.name}"
        return reader(source, shard.label_format, files=files, storage_options=storage_options)
    if shard.label_source is None:
        raise InputError(
            f"the shard {shard.name} does not say where its {shard.label_format} lies: register it "
            "again with `seg-assets shards add --labels`"
        )
    return open_ground_truth(
        shard.label_source, shard.label_format, storage_options=storage_options
    )
