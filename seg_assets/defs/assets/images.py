"""raw_images: where a shard begins."""

import dagster as dg

from seg_assets.data.shards import load_shard
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
from seg_assets.stages.raw_images import record_raw_images
from seg_assets.stages.run import CODE_VERSIONS


@dg.asset(
    partitions_def=shards,
    group_name="images",
    kinds={"parquet"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["raw_images"],
)
def raw_images(
    context: dg.AssetExecutionContext, config: StageConfig, store: StoreResource
) -> dg.MaterializeResult:
    """The images of a shard, each opened once: place, upright size, format, SHA-256.

    Pixels stay where they are (a folder, a tar, S3). Files that cannot be read go into the error
    table and the rest of the shard goes on.
    """
    with plain_failures():
        opened, name = store.open(), context.partition_key
        report = record_raw_images(opened, load_shard(opened, name), recompute=config.recompute)
        return dg.MaterializeResult(
            metadata={
                "preview": previews.raw_images(opened, name),
                **report_metadata(report),
                **provenance_metadata(opened, "raw_images", name),
                "errors": failures_table(opened, "raw_images", name),
            },
            data_version=data_version(opened, "raw_images", name),
        )
