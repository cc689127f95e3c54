"""Asset checks per shard. Blocking ones stop what is downstream; the others warn."""

import dagster as dg
import numpy as np

from seg_assets.defs.failures import plain_failures
from seg_assets.defs.metadata import region_metadata, vote_metadata
from seg_assets.defs.partitions import shards
from seg_assets.defs.resources import StoreResource
from seg_assets.labels.tables import stored_classes
from seg_assets.masks.records import MaskRecord
from seg_assets.storage.png import decode_label_map

WARN = dg.AssetCheckSeverity.WARN
MAX_FALLBACK_SHARE = 0.5
MIN_COVERAGE = 0.5
MIN_VOTE_SHARE = 0.5


@dg.asset_check(asset="raw_images", partitions_def=shards, blocking=True)
@plain_failures()
def shard_has_images(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """At least one image of the shard can be read."""
    images = store.open().open_shard("raw_images", context.partition_key)
    return dg.AssetCheckResult(
        passed=len(images.image_ids) > 0,
        metadata={"images": len(images.image_ids), "images_failed": len(images.failed)},
    )


@dg.asset_check(asset="raw_images", partitions_def=shards)
@plain_failures()
def all_images_readable(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """No image of the shard is damaged."""
    failed = store.open().open_shard("raw_images", context.partition_key).failed
    return dg.AssetCheckResult(
        passed=not failed,
        severity=WARN,
        metadata={"images_failed": len(failed), "first": next(iter(failed), "none")},
    )


@dg.asset_check(asset="sam_masks", partitions_def=shards, blocking=True)
@plain_failures()
def masks_fit_images(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """Every stored mask has its image's size, its recorded area and finite scores."""
    opened, name = store.open(), context.partition_key
    images, masks = opened.open_shard("raw_images", name), opened.open_shard("sam_masks", name)
    wrong = []
    for image_id in masks.image_ids:
        size = images.rows(image_id)[0]
        for row in masks.rows(image_id):
            record = MaskRecord.from_row(row)
            fits = (record.rle.height, record.rle.width) == (size["height"], size["width"])
            finite = np.isfinite([record.predicted_iou, record.stability_score]).all()
            if not (fits and finite and record.rle.area == record.area):
                wrong.append(f"{image_id}:{row['mask_id']}")
    return dg.AssetCheckResult(
        passed=not wrong, metadata={"wrong_masks": len(wrong), "first": (wrong or ["none"])[0]}
    )


@dg.asset_check(asset="sam_masks", partitions_def=shards)
@plain_failures()
def every_image_has_masks(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """SAM found at least one mask in each image; none is possible, but worth a look."""
    masks = store.open().open_shard("sam_masks", context.partition_key)
    empty = [image_id for image_id in masks.image_ids if masks.table(image_id).num_rows == 0]
    return dg.AssetCheckResult(
        passed=not empty,
        severity=WARN,
        metadata={"images_without_masks": len(empty), "first": (empty or ["none"])[0]},
    )


@dg.asset_check(asset="region_labels", partitions_def=shards)
@plain_failures()
def labels_are_sure(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """Most regions got their class from SEEM itself, and the regions cover most of the images."""
    numbers = region_metadata(store.open(), context.partition_key)
    fallback, coverage = numbers["fallback_share"], numbers["coverage"]
    return dg.AssetCheckResult(
        passed=bool(fallback <= MAX_FALLBACK_SHARE and coverage >= MIN_COVERAGE),
        severity=WARN,
        metadata={"fallback_share": fallback, "coverage": coverage},
    )


@dg.asset_check(asset="ssa_masks", partitions_def=shards)
@plain_failures()
def votes_are_clear(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """Masks and the segmentor's map agree: on average most of a mask's pixels have its class."""
    numbers = vote_metadata(store.open(), context.partition_key)
    share = numbers.get("mean_vote_share", 1.0)  # without masks there is nothing to disagree
    return dg.AssetCheckResult(
        passed=bool(share >= MIN_VOTE_SHARE),
        severity=WARN,
        metadata={"mean_vote_share": share, "masks_per_image": numbers["masks_per_image"]},
    )


@dg.asset_check(asset="merged_maps", partitions_def=shards, blocking=True)
@plain_failures()
def maps_are_complete(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """Each readable image has a map of its own size, with ids of the class table only."""
    opened, name = store.open(), context.partition_key
    images, maps = opened.open_shard("raw_images", name), opened.open_shard("merged_maps", name)
    table = stored_classes(maps)
    allowed = np.zeros(256, dtype=bool)
    allowed[[*range(len(table)), table.ignore_id]] = True
    missing = sorted(set(images.image_ids) - set(maps.image_ids))
    wrong = []
    for image_id in maps.image_ids:
        size = images.rows(image_id)[0]
        label_map = decode_label_map(maps.rows(image_id)[0]["label_map"]["bytes"])
        if label_map.shape != (size["height"], size["width"]) or not allowed[label_map].all():
            wrong.append(image_id)
    return dg.AssetCheckResult(
        passed=not missing and not wrong,
        metadata={
            "missing": len(missing),
            "wrong": len(wrong),
            "first": ([*missing, *wrong] or ["none"])[0],
        },
    )


@dg.asset_check(asset="evaluation_metrics", partitions_def=shards)
@plain_failures()
def truth_was_found(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """Every image with a map could be scored, or the shard has no ground truth at all."""
    opened, name = store.open(), context.partition_key
    reader = opened.open_shard("evaluation_metrics", name)
    scored = [i for i in reader.image_ids if reader.table(i).num_rows]
    missing = len(reader.image_ids) - len(scored)
    return dg.AssetCheckResult(
        passed=not reader.failed and (missing == 0 or not scored),
        severity=WARN,
        metadata={
            "images_with_truth": len(scored),
            "images_without_truth": missing,
            "images_failed": len(reader.failed),
        },
    )
