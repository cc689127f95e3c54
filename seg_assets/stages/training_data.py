"""training_panoptic, training_semantic, training_grounding: what to learn."""

from collections.abc import Mapping, Sequence
from typing import Any

from seg_assets.data.panoptic.annotate import GroundTruth
from seg_assets.data.panoptic.grounding import refer_to_segments
from seg_assets.data.panoptic.grounding_json import Referral
from seg_assets.data.panoptic.panoptic_png import decode_panoptic, encode_panoptic
from seg_assets.data.panoptic.params import GroundingParams, PanopticParams
from seg_assets.data.panoptic.segments import Segment, SegmentedImage
from seg_assets.data.panoptic.semantic_png import encode_semantic
from seg_assets.data.panoptic.sentences import UserSentences, read_user_sentences
from seg_assets.data.shards import Shard
from seg_assets.errors import StoreError
from seg_assets.stages.run import (
    LIGHT_IMAGES_PER_PART,
    RowsOfImage,
    StageReport,
    Stopwatch,
    run_stage,
    sha256_of,
)
from seg_assets.stages.training_categories import (
    CATEGORIES_PATH,
    load_categories,
    read_named_file,
)
from seg_assets.storage.lineage import upstream
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.store import Store


def segment_ground_truth(
    store: Store,
    shard: Shard,
    *,
    instances: str = "",
    params: PanopticParams | None = None,
    recompute: bool = False,
) -> StageReport:
    """Write the ground truth of a shard as segments; images without labels are left out.

    Args:
        store: where `raw_images` of the shard lies.
        shard: the shard's definition.
        instances: folder of instance maps, see `GroundTruth.of_shard`; "" without.
        params: how label maps become segments.
        recompute: do finished images anew.

    Raises:
        InputError: the shard has no ground truth, or its classes are not the categories.
        StoreError: `raw_images` or the category table is missing.
    """
    chosen = params or PanopticParams()
    table = load_categories(store)
    truth = GroundTruth.of_shard(shard, table, instances=instances or None, params=chosen)
    raw_images = store.open_shard("raw_images", shard.name)
    references = {image.image_id: image for image in shard.images}
    labelled = [
        image_id
        for image_id in raw_images.image_ids
        if image_id in references and references[image_id].label_uri is not None
    ]

    def prepare(watch: Stopwatch):
        def segment(image_id: str) -> RowsOfImage:
            row = raw_images.rows(image_id)[0]
            with watch.time("segment"):
                segmented = truth.read(references[image_id], (row["height"], row["width"]))
            with watch.time("encode"):
                png = encode_panoptic(segmented.ids)
            found = {
                "image_id": image_id,
                "height": row["height"],
                "width": row["width"],
                "panoptic": {"bytes": png, "path": f"{image_id}.png"},
                "segments": [item.to_json() for item in segmented.segments],
            }
            return {"training_panoptic": [found]}

        return segment

    return run_stage(
        store,
        shard.name,
        ["training_panoptic"],
        labelled,
        {
            "categories": table.digest,
            "params": chosen.model_dump(),
            "label_format": shard.label_format,
            "labels": sha256_of([[i, references[i].label_uri] for i in labelled]),
            "instances": instances,
            "upstream": upstream(raw_images),
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


def write_semantic_maps(store: Store, shard: str, *, recompute: bool = False) -> StageReport:
    """Write the training id of every pixel, from the segments of a shard.

    Raises:
        StoreError: `training_panoptic` is missing, or was made with other categories.
    """
    table, panoptic = load_categories(store), open_segments(store, shard)

    def prepare(watch: Stopwatch):
        def paint(image_id: str) -> RowsOfImage:
            with watch.time("read"):
                segmented = segmented_of_row(panoptic.rows(image_id)[0])
            with watch.time("paint"):
                label_map = segmented.semantic(table)
            with watch.time("encode"):
                png = encode_semantic(label_map, table)
            row = {
                "image_id": image_id,
                "label_map": {"bytes": png, "path": f"{image_id}.png"},
                "pixels": label_map.size,
                "unlabelled": label_map.size - sum(s.area for s in segmented.segments),
            }
            return {"training_semantic": [row]}

        return paint

    return run_stage(
        store,
        shard,
        ["training_semantic"],
        panoptic.image_ids,
        {"categories": table.digest, "upstream": upstream(panoptic)},
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


def write_grounding(
    store: Store,
    shard: str,
    *,
    sentences: str = "",
    params: GroundingParams | None = None,
    recompute: bool = False,
) -> StageReport:
    """Write sentences and polygons for the segments of a shard.

    Args:
        store: where `training_panoptic` of the shard lies.
        shard: name of the shard.
        sentences: file of a user's own sentences, see `read_user_sentences`; "" without. Those for
            images of other shards are passed over.
        params: what is said.
        recompute: do finished images anew.

    Raises:
        InputError: the file of sentences is faulty.
        StoreError: `training_panoptic` is missing, or was made with other categories.
    """
    chosen = params or GroundingParams()
    table, panoptic = load_categories(store), open_segments(store, shard)
    said: Mapping[str, Sequence[UserSentences]] = {}
    if sentences:
        said = read_user_sentences(read_named_file(sentences), sentences)

    def prepare(watch: Stopwatch):
        def refer(image_id: str) -> RowsOfImage:
            with watch.time("read"):
                segmented = segmented_of_row(panoptic.rows(image_id)[0])
            with watch.time("describe"):
                referrals = refer_to_segments(
                    segmented, table, image=image_id, params=chosen, user=said.get(image_id, ())
                )
            return {"training_grounding": [_referral_row(image_id, r) for r in referrals]}

        return refer

    return run_stage(
        store,
        shard,
        ["training_grounding"],
        panoptic.image_ids,
        {
            "categories": table.digest,
            "params": chosen.model_dump(),
            "sentences": sha256_of({k: repr(v) for k, v in said.items()}) if said else None,
            "upstream": upstream(panoptic),
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


def open_segments(store: Store, shard: str) -> ShardReader:
    """Open `training_panoptic` of a shard.

    Raises:
        StoreError: it is missing, or was made with other categories than those that are there now.
    """
    panoptic = store.open_shard("training_panoptic", shard)
    if panoptic.manifest.provenance["categories"] != load_categories(store).digest:
        raise StoreError(
            f"training_panoptic of shard {shard} was made with other categories than those in "
            f"{store.location(CATEGORIES_PATH)}: materialise it again"
        )
    return panoptic


def segmented_of_row(row: Mapping[str, Any]) -> SegmentedImage:
    """Return the segments of a row of `training_panoptic`.

    Raises:
        ImageError: its PNG is damaged.
    """
    ids = decode_panoptic(row["panoptic"]["bytes"], f"of {row['image_id']}")
    return SegmentedImage(
        ids,
        tuple(
            Segment(s["id"], s["category_id"], s["area"], tuple(s["bbox"]), bool(s["iscrowd"]))
            for s in row["segments"]
        ),
    )


def referral_of_row(row: Mapping[str, Any]) -> Referral:
    """Return what the sentences of a row of `training_grounding` mean."""
    x, y, width, height = (int(value) for value in row["bbox"])  # boxes of pixels are whole
    return Referral(
        tuple(tuple(polygon) for polygon in row["polygons"]),
        tuple(row["sentences"]),
        row["segment_id"],
        row["category_id"],
        row["area"],
        (x, y, width, height),
    )


def _referral_row(image_id: str, referral: Referral) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "segment_id": referral.segment_id,
        "category_id": referral.category_id,
        "area": int(referral.area),
        "bbox": [float(value) for value in referral.bbox or ()],
        "polygons": [list(polygon) for polygon in referral.polygons],
        "sentences": list(referral.sentences),
    }
