"""semantic_maps and merged_maps: a class for every pixel."""

import dagster as dg
from pydantic import Field

from seg_assets.defs import previews
from seg_assets.defs.config import StageConfig
from seg_assets.defs.failures import plain_failures
from seg_assets.defs.metadata import (
    data_version,
    failures_table,
    provenance_metadata,
    report_metadata,
)
from seg_assets.defs.partitions import shards
from seg_assets.defs.resources import StoreResource
from seg_assets.labels.params import MERGED_CLASSES
from seg_assets.stages.maps import merge_maps, paint_semantic_maps
from seg_assets.stages.run import CODE_VERSIONS, StageReport
from seg_assets.storage.store import Store


class MergedMapsConfig(StageConfig):
    """Options of the stage."""

    classes: str = Field(
        default=MERGED_CLASSES,
        description="Class table of the maps, a name or the path of a .toml file; that of "
        "semantic_maps must have a class map to it. Where merged19 has none, the maps stay as "
        "they are.",
    )


@dg.asset(
    deps=["sam_masks", "seem_labels", "region_labels"],
    partitions_def=shards,
    group_name="maps",
    kinds={"numpy", "parquet"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["semantic_maps"],
)
def semantic_maps(
    context: dg.AssetExecutionContext, config: StageConfig, store: StoreResource
) -> dg.MaterializeResult:
    """A class per pixel: that of the region, and SEEM's own where SAM saw nothing; as base28."""
    with plain_failures():
        opened, name = store.open(), context.partition_key
        report = paint_semantic_maps(opened, name, recompute=config.recompute)
        return _map_result(opened, "semantic_maps", name, report)


@dg.asset(
    deps=["semantic_maps"],
    partitions_def=shards,
    group_name="maps",
    kinds={"numpy", "parquet"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["merged_maps"],
)
def merged_maps(
    context: dg.AssetExecutionContext, config: MergedMapsConfig, store: StoreResource
) -> dg.MaterializeResult:
    """The semantic maps in coarser classes (28 to 19), by lookup."""
    with plain_failures():
        opened, name = store.open(), context.partition_key
        report = merge_maps(opened, name, classes=config.classes, recompute=config.recompute)
        return _map_result(opened, "merged_maps", name, report)


def _map_result(store: Store, asset: str, shard: str, report: StageReport) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata={
            **previews.label_maps(store, shard, asset),
            **report_metadata(report),
            **provenance_metadata(store, asset, shard),
            "errors": failures_table(store, asset, shard),
        },
        data_version=data_version(store, asset, shard),
    )
