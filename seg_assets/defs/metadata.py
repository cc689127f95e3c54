"""From stage reports and store manifests to the numbers that Dagster shows and plots."""

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from seg_assets.stages.run import StageReport
from seg_assets.storage.store import Store


def report_metadata(report: StageReport, *, device: str | None = None) -> dict[str, Any]:
    """Counts, speed and memory of one stage; `device` for the stages that use one."""
    metadata: dict[str, Any] = {
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


def provenance_metadata(store: Store, asset: str, shard: str) -> dict[str, Any]:
    """What decided the stored result: model, checkpoint hash, parameters; size on disk."""
    manifest = store.open_shard(asset, shard).manifest
    provenance = {k: v for k, v in manifest.provenance.items() if k != "upstream"}
    metadata: dict[str, Any] = {
        "fingerprint": manifest.fingerprint,
        "rows": manifest.totals["rows"],
        "bytes": manifest.totals["bytes"],
        "path": store.location(f"{asset}/{shard}"),
    }
    for key, value in provenance.items():
        is_json = isinstance(value, Mapping | list)
        metadata[key] = dg.MetadataValue.json(value) if is_json else _plain(value)
    if manifest.totals["images"]:
        metadata["bytes_per_image"] = round(manifest.totals["bytes"] / manifest.totals["images"])
    return metadata


def data_version(store: Store, asset: str, shard: str) -> dg.DataVersion:
    """What decided the stored shard, as Dagster's data version: staleness follows from it."""
    return dg.DataVersion(store.open_shard(asset, shard).manifest.fingerprint)


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


def _plain(value: object) -> str | int | float:
    return (
        value if isinstance(value, str | int | float) else "none" if value is None else str(value)
    )
