"""raw_images: which images a shard holds, each opened once to see that it can be read."""

import hashlib

from seg_assets.data.files import read_bytes
from seg_assets.data.images import decode_image
from seg_assets.data.shards import Shard
from seg_assets.stages.run import (
    LIGHT_IMAGES_PER_PART,
    RowsOfImage,
    StageReport,
    Stopwatch,
    run_stage,
    sha256_of,
)
from seg_assets.storage.store import Store


def record_raw_images(store: Store, shard: Shard, *, recompute: bool = False) -> StageReport:
    """Write one row per readable image of the shard: where it lies, its size, format and hash.

    Width and height are those of the upright picture, after EXIF rotation. Pixels stay where they
    are; later stages read them again by the same reference. Ground truth is no part of it: labels
    may be added to a shard without doing its masks again.
    """
    references = {reference.image_id: reference for reference in shard.images}

    def prepare(watch: Stopwatch):
        def record(image_id: str) -> RowsOfImage:
            reference = references[image_id]
            with watch.time("read"):
                data = read_bytes(reference.uri, reference.offset, reference.size)
            with watch.time("decode"):
                decoded = decode_image(data, reference.where)
            height, width = decoded.pixels.shape[:2]
            row = {
                "image_id": image_id,
                "uri": reference.uri,
                "offset": reference.offset,
                "size": reference.size,
                "width": width,
                "height": height,
                "format": decoded.format,
                "sha256": hashlib.sha256(data).hexdigest(),
            }
            return {"raw_images": [row]}

        return record

    images = [[r.image_id, r.uri, r.offset, r.size] for r in shard.images]
    return run_stage(
        store,
        shard.name,
        ["raw_images"],
        [reference.image_id for reference in shard.images],
        {"shard_sha256": sha256_of(images)},
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )
