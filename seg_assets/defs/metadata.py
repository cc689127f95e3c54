"""From stage reports and stored results to the numbers that Dagster shows and plots."""

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from seg_assets.labels.tables import stored_classes
from seg_assets.stages.run import StageReport
from seg_assets.storage.store import Store

Metadata = dict[str, Any]  # what Dagster takes as metadata, which has no public type


def report_metadata(report: StageReport, *, device: str | None = None) -> Metadata:
    """Counts, speed and memory of one stage; `device` for the stages that use one."""
    metadata: Metadata = {
        "images": report.images,
        "images_reused": report.reused,
        "images_failed": report.failed,
        "images_per_second": round(report.images_per_second, 4),
        "seconds": round(report.seconds, 3),
        "peak_memory_mib": round(report.peak_memory_mib, 1),
    }
    for step, seconds in report.seconds_per_step.items():
        metadata[f"seconds_{step.replace(' ', '_')}"] = round(seconds, 3)
    if device is not None:
        metadata["device"] = device
    return metadata


def provenance_metadata(store: Store, asset: str, shard: str) -> Metadata:
    """What decided the stored result: model, checkpoint hash, parameters; size on disk."""
    manifest = store.open_shard(asset, shard).manifest
    totals = manifest.totals
    metadata: Metadata = {
        "fingerprint": manifest.fingerprint,
        "rows": totals["rows"],
        "bytes": totals["bytes"],
        "bytes_per_image": round(totals["bytes"] / max(totals["images"], 1)),
        "path": store.location(f"{asset}/{shard}"),
    }
    for key, value in manifest.provenance.items():
        if isinstance(value, Mapping | list):
            metadata[key] = dg.MetadataValue.json(value)
        else:
            metadata[key] = "none" if value is None else value
    return metadata


def data_version(store: Store, asset: str, shard: str) -> dg.DataVersion:
    """What the stored shard holds, as Dagster's data version: staleness follows from it."""
    return dg.DataVersion(store.open_shard(asset, shard).manifest.digest)


def failures_table(store: Store, asset: str, shard: str, limit: int = 20) -> dg.MetadataValue | str:
    """The first failed images as a table in Markdown."""
    failed = store.open_shard(asset, shard).failed
    if not failed:
        return "none"
    lines = ["| image | stage | what is wrong |", "| --- | --- | --- |"]
    for image_id, (stage, message) in list(failed.items())[:limit]:
        lines.append(f"| {image_id} | {stage} | {json.dumps(message)[1:-1]} |")
    if len(failed) > limit:
        lines.append(f"\n{len(failed) - limit} more are in the store's manifest.")
    return dg.MetadataValue.md("\n".join(lines))


def mask_metadata(store: Store, shard: str) -> Metadata:
    """Masks per image and the means of their scores."""
    reader = store.open_shard("sam_masks", shard)
    masks = reader.read(columns=["predicted_iou", "stability_score"]).to_pandas()
    metadata: Metadata = {"masks_per_image": round(len(masks) / max(len(reader), 1), 2)}
    if len(masks):
        metadata |= {f"mean_{name}": round(float(masks[name].mean()), 4) for name in masks}
    return metadata


def region_metadata(store: Store, shard: str) -> Metadata:
    """How sure the labels are, what share of the pixels they cover, regions per class."""
    reader = store.open_shard("region_labels", shard)
    columns = ["area", "class_id", "score", "margin", "vote_share", "fallback"]
    regions = reader.read(columns=columns).to_pandas()
    images = store.open_shard("raw_images", shard).read(["image_id", "width", "height"]).to_pandas()
    images = images[images["image_id"].isin(reader.image_ids)]
    pixels = int((images["width"] * images["height"]).sum())
    metadata: Metadata = {
        "regions_per_image": round(len(regions) / max(len(reader), 1), 2),
        "coverage": round(float(regions["area"].sum()) / max(pixels, 1), 4),
        "fallback_share": round(float(regions["fallback"].mean()), 4) if len(regions) else 0.0,
    }
    if len(regions):
        for name in ("score", "margin", "vote_share"):
            metadata[f"mean_{name}"] = round(float(regions[name].mean()), 4)
        table = stored_classes(reader)
        lines = ["| class | regions |", "| --- | --- |"]
        for class_id, count in regions["class_id"].value_counts().items():
            lines.append(f"| {table.name_of(int(str(class_id)))} | {count} |")
        metadata["regions_per_class"] = dg.MetadataValue.md("\n".join(lines))
    return metadata


def vote_metadata(store: Store, shard: str) -> Metadata:
    """How clearly the segmentor's map names the masks, and how many are left to it."""
    reader = store.open_shard("ssa_masks", shard)
    votes = reader.read(columns=["vote_share", "kept"]).to_pandas()
    metadata: Metadata = {"masks_per_image": round(len(votes) / max(len(reader), 1), 2)}
    if len(votes):
        metadata["mean_vote_share"] = round(float(votes["vote_share"].mean()), 4)
        metadata["kept_share"] = round(float(votes["kept"].mean()), 4)
    return metadata
