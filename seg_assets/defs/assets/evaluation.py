"""evaluation_metrics per shard, evaluation_report over all shards."""

import dagster as dg
from pydantic import Field

from seg_assets.data.shards import load_shard
from seg_assets.defs import previews
from seg_assets.defs.config import StageConfig
from seg_assets.defs.failures import plain_failures
from seg_assets.defs.metadata import (
    data_version,
    evaluation_metadata,
    failures_table,
    provenance_metadata,
    report_metadata,
)
from seg_assets.defs.partitions import shards
from seg_assets.defs.resources import StoreResource
from seg_assets.stages.evaluation import (
    REPORT_PATH,
    score_maps,
    scored_shards,
    sum_shards,
    write_report,
)
from seg_assets.stages.run import CODE_VERSIONS


class EvaluationConfig(StageConfig):
    """Options of the stage."""

    classes: str | None = Field(
        default=None,
        description="Class table in which maps and ground truth are compared, a name or the path "
        "of a .toml file; both must have a class map to it. Empty: that of merged_maps.",
    )


@dg.asset(
    deps=["seem_labels", "semantic_maps", "merged_maps"],
    partitions_def=shards,
    group_name="evaluation",
    kinds={"numpy", "parquet"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["evaluation_metrics"],
)
def evaluation_metrics(
    context: dg.AssetExecutionContext, config: EvaluationConfig, store: StoreResource
) -> dg.MaterializeResult:
    """Maps against ground truth: confusion matrices per image, summed for the shard.

    SAM + SEEM and SEEM alone are both scored. All meet in the merged classes, or in those that the
    config names. Images without ground truth are counted, not scored.
    """
    with plain_failures():
        opened, name = store.open(), context.partition_key
        shard = load_shard(opened, name)
        report = score_maps(opened, shard, classes=config.classes, recompute=config.recompute)
        evaluation = sum_shards(opened, [name])
        return dg.MaterializeResult(
            metadata={
                **previews.evaluation(evaluation),
                **report_metadata(report),
                **provenance_metadata(opened, "evaluation_metrics", name),
                **evaluation_metadata(evaluation),
                "errors": failures_table(opened, "evaluation_metrics", name),
            },
            data_version=data_version(opened, "evaluation_metrics", name),
        )


@dg.asset(
    deps=[
        dg.AssetDep("evaluation_metrics", partition_mapping=dg.AllPartitionMapping()),
    ],
    group_name="evaluation",
    kinds={"json"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["evaluation_report"],
)
def evaluation_report(store: StoreResource) -> dg.MaterializeResult:
    """The metrics of every registered and finished shard added up, divided once at the end."""
    with plain_failures():
        opened = store.open()
        names = scored_shards(opened)
        evaluation = write_report(opened, names)
        return dg.MaterializeResult(
            metadata={
                **previews.evaluation(evaluation),
                "shards": len(names),
                "path": opened.location(REPORT_PATH),
                **evaluation_metadata(evaluation),
            }
        )
