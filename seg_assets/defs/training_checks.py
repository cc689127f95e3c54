"""Checks of training data per shard. Blocking ones stop what is downstream; the others warn."""

from collections.abc import Iterator, Sequence

import dagster as dg

from seg_assets.data.panoptic.segments import SegmentedImage, find_faults
from seg_assets.data.panoptic.semantic_png import decode_semantic, find_semantic_faults
from seg_assets.defs.failures import plain_failures
from seg_assets.defs.partitions import shards
from seg_assets.defs.resources import StoreResource
from seg_assets.stages.training_categories import load_categories
from seg_assets.stages.training_data import (
    open_segments,
    referral_of_row,
    segmented_of_row,
)
from seg_assets.storage.store import Store

WARN = dg.AssetCheckSeverity.WARN

MAX_UNLABELLED_SHARE = 0.1
"""SEEM's authors of the fine-tuning recipe ask for generic categories (wall, ceiling) so that
nearly every pixel has a label."""

MIN_OUTLINE_IOU = 0.9
MIN_OUTLINED_PIXELS = 100  # smaller segments may be a few pixels off


@dg.asset_check(asset="training_panoptic", partitions_def=shards, blocking=True)
@plain_failures()
def segments_match_maps(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """Every segment is in its map and listed, with its category, its pixels and its box."""
    opened = store.open()
    table = load_categories(opened)
    faults = [
        f"{image_id}: {fault}"
        for image_id, segmented in _segmented(opened, context.partition_key)
        for fault in find_faults(segmented, table)
    ]
    return _result(faults, "faults")


@dg.asset_check(asset="training_semantic", partitions_def=shards, blocking=True)
@plain_failures()
def training_ids_match_segments(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """Every pixel holds the training id of its segment's category, and 255 without a segment."""
    opened, name = store.open(), context.partition_key
    table = load_categories(opened)
    semantic = opened.open_shard("training_semantic", name)
    faults = []
    for image_id, segmented in _segmented(opened, name):
        if image_id in semantic:
            data = semantic.rows(image_id)[0]["label_map"]["bytes"]
            found = find_semantic_faults(decode_semantic(data, image_id), segmented, table)
            faults += [f"{image_id}: {fault}" for fault in found]
        else:
            faults.append(f"{image_id}: it has no semantic map")
    return _result(faults, "faults")


@dg.asset_check(asset="training_semantic", partitions_def=shards)
@plain_failures()
def pixels_are_labelled(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """Few pixels are without a label; generic categories (wall, ground) help where many are."""
    semantic = store.open().open_shard("training_semantic", context.partition_key)
    counts = semantic.read(["image_id", "pixels", "unlabelled"]).to_pandas()
    share = float(counts["unlabelled"].sum() / max(counts["pixels"].sum(), 1))
    worst = (counts["unlabelled"] / counts["pixels"]).idxmax() if len(counts) else None
    return dg.AssetCheckResult(
        passed=share <= MAX_UNLABELLED_SHARE,
        severity=WARN,
        metadata={
            "unlabelled_share": round(share, 4),
            "limit": MAX_UNLABELLED_SHARE,
            "worst_image": "none" if worst is None else str(counts["image_id"][worst]),
        },
    )


@dg.asset_check(asset="training_grounding", partitions_def=shards, blocking=True)
@plain_failures()
def outlines_match_segments(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """The polygons of what sentences mean fill their segments, but for a few border pixels."""
    opened, name = store.open(), context.partition_key
    grounding = opened.open_shard("training_grounding", name)
    faults, silent = [], 0
    for image_id, segmented in _segmented(opened, name):
        rows = grounding.rows(image_id) if image_id in grounding else []
        silent += not rows
        for row in rows:
            if row["area"] < MIN_OUTLINED_PIXELS:
                continue
            inside = segmented.ids == row["segment_id"]
            filled = referral_of_row(row).mask(*inside.shape)
            iou = (inside & filled).sum() / max((inside | filled).sum(), 1)
            if iou < MIN_OUTLINE_IOU:
                faults.append(f"{image_id}: segment {row['segment_id']} has IoU {iou:.2f}")
    result = _result(faults, "faults")
    return result._replace(metadata={**result.metadata, "images_without_sentences": silent})


def _segmented(store: Store, shard: str) -> Iterator[tuple[str, SegmentedImage]]:
    panoptic = open_segments(store, shard)
    for image_id in panoptic.image_ids:
        yield image_id, segmented_of_row(panoptic.rows(image_id)[0])


def _result(faults: Sequence[str], name: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not faults, metadata={name: len(faults), "first": (list(faults) or ["none"])[0]}
    )
