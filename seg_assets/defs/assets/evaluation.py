"""Evaluation per shard, evaluation_report over all shards."""

import json

import dagster as dg
from pydantic import Field

from seg_assets.data.shards import load_shard
from seg_assets.defs import previews
from seg_assets.defs.config import StageConfig
from seg_assets.defs.evaluation_metadata import evaluation_metadata
from seg_assets.defs.failures import plain_failures
from seg_assets.defs.metadata import (
    data_version,
    failures_table,
    provenance_metadata,
    report_metadata,
)
from seg_assets.defs.partitions import shards
from seg_assets.defs.resources import StoreResource
from seg_assets.stages.evaluation import score_maps
from seg_assets.stages.evaluation_report import (
    REPORT_FOLDER,
    REPORT_PATH,
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
        "of a .toml file; all must have a class map to it. Empty: that of merged_maps.",
    )
    boundaries: bool = Field(
        default=True, description="Compare the outlines of the classes as well."
    )


@dg.asset(
    deps=["sam_masks", "seem_labels", "region_labels", "semantic_maps", "merged_maps"]
    + ["ssa_masks", "ssa_maps"],
    partitions_def=shards,
    group_name="evaluation",
    kinds={"numpy", "parquet"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["evaluation_metrics"],
)
def evaluation_metrics(
    context: dg.AssetExecutionContext, config: EvaluationConfig, store: StoreResource
) -> dg.MaterializeResult:
    """Label sets and masks against ground truth, image by image, summed for the shard.

    SAM + SEEM, SEEM alone, SSA and its segmentor are scored side by side, as far as they are there:
    confusion, boundaries, panoptic quality, objects. All meet in the merged classes, or in those
    that the config names. What is missing is counted, not skipped. The purity of the regions and
    the best mask of each true object lie beside, in `evaluation_masks` and `evaluation_objects`.
    """
    with plain_failures():
        opened, name = store.open(), context.partition_key
        report = score_maps(
            opened,
            load_shard(opened, name),
            classes=config.classes,
            boundaries=config.boundaries,
            recompute=config.recompute,
        )
        tally = sum_shards(opened, [name])
        return dg.MaterializeResult(
            metadata={
                **previews.evaluation(tally),
                **report_metadata(report),
                **provenance_metadata(opened, "evaluation_metrics", name),
                **evaluation_metadata(tally),
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
    """The evaluation of every registered and finished shard added up, divided once at the end.

    Numbers as JSON and CSV, and a page with tables, charts and the worst images.
    """
    with plain_failures():
        opened = store.open()
        names = scored_shards(opened)
        tally = write_report(opened, names)
        origin = json.loads(opened.read_bytes(REPORT_PATH))
        return dg.MaterializeResult(
            metadata={
                **previews.evaluation(tally),
                "shards": len(names),
                "shards_not_scored": len(origin["shards_not_scored"]),
                "shards_outdated": len(origin["shards_outdated"]),
                "path": opened.location(REPORT_FOLDER),
                **evaluation_metadata(tally),
            }
        )
