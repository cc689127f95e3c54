"""What SEEM is fine-tuned on: categories, segments, training ids, sentences, and the data set."""

import dagster as dg
from pydantic import Field

from seg_assets.data.panoptic.params import GroundingParams, PanopticParams
from seg_assets.data.shards import load_shard
from seg_assets.defs import training_previews
from seg_assets.defs.config import BoundedConfig, StageConfig
from seg_assets.defs.failures import plain_failures
from seg_assets.defs.metadata import (
    data_version,
    failures_table,
    provenance_metadata,
    report_metadata,
)
from seg_assets.defs.partitions import shards
from seg_assets.defs.resources import StoreResource
from seg_assets.defs.training_metadata import (
    categories_metadata,
    grounding_metadata,
    segments_metadata,
    splits_metadata,
    unlabelled_metadata,
)
from seg_assets.stages.run import CODE_VERSIONS
from seg_assets.stages.training_categories import (
    CATEGORIES_PATH,
    CategoryParams,
    write_categories,
)
from seg_assets.stages.training_data import (
    segment_ground_truth,
    write_grounding,
    write_semantic_maps,
)
from seg_assets.stages.training_dataset import SplitParams, export_training_dataset

GROUP = "training_data"


class TrainingCategoriesConfig(CategoryParams, BoundedConfig):
    """The categories, as the library knows them."""


class TrainingPanopticConfig(PanopticParams, StageConfig):
    """How label maps become segments, and options of the stage."""

    instances: str = Field(
        default="",
        description=(
            "Folder of instance maps: PNGs under the images' ids with a number from 1 for each "
            "object. Empty: things are taken apart as `without_instances` says."
        ),
    )

    def params(self) -> PanopticParams:
        """The library's parameters alone."""
        return PanopticParams(**self.model_dump(exclude={"recompute", "instances"}))


class TrainingGroundingConfig(GroundingParams, StageConfig):
    """What is said about segments, and options of the stage."""

    sentences: str = Field(
        default="",
        description=(
            'JSON file of your own sentences: {image id: [{"point": [x, y], "sentences": [...]}]}.'
        ),
    )

    def params(self) -> GroundingParams:
        """The library's parameters alone."""
        return GroundingParams(**self.model_dump(exclude={"recompute", "sentences"}))


class TrainingDatasetConfig(SplitParams, BoundedConfig):
    """Which images go where, and the folder."""

    folder: str = Field(
        default="", description="Where to write on this machine. Empty: the store's own folder."
    )

    def params(self) -> SplitParams:
        """The library's parameters alone."""
        return SplitParams(**self.model_dump(exclude={"folder"}))


@dg.asset(
    group_name=GROUP,
    kinds={"json"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["training_categories"],
)
def training_categories(
    config: TrainingCategoriesConfig, store: StoreResource
) -> dg.MaterializeResult:
    """The categories in training order: id, name, colour, thing or stuff. One table per store."""
    with plain_failures():
        opened = store.open()
        table = write_categories(opened, CategoryParams(**config.model_dump()))
        return dg.MaterializeResult(
            metadata={
                **categories_metadata(table),
                "path": opened.location(CATEGORIES_PATH),
            },
            data_version=dg.DataVersion(table.digest),
        )


@dg.asset(
    deps=["raw_images", "training_categories"],
    partitions_def=shards,
    group_name=GROUP,
    kinds={"numpy", "parquet"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["training_panoptic"],
)
def training_panoptic(
    context: dg.AssetExecutionContext, config: TrainingPanopticConfig, store: StoreResource
) -> dg.MaterializeResult:
    """The ground truth as segments: a colour per segment in a PNG, and what each segment is.

    Stuff is one segment per category; things are one per instance.
    """
    with plain_failures():
        opened, name = store.open(), context.partition_key
        report = segment_ground_truth(
            opened,
            load_shard(opened, name),
            instances=config.instances,
            params=config.params(),
            recompute=config.recompute,
        )
        return dg.MaterializeResult(
            metadata={
                "preview": training_previews.training_panoptic(opened, name),
                **report_metadata(report),
                **provenance_metadata(opened, "training_panoptic", name),
                **segments_metadata(opened, name),
                "errors": failures_table(opened, "training_panoptic", name),
            },
            data_version=data_version(opened, "training_panoptic", name),
        )


@dg.asset(
    deps=["training_panoptic", "training_categories"],
    partitions_def=shards,
    group_name=GROUP,
    kinds={"numpy", "parquet"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["training_semantic"],
)
def training_semantic(
    context: dg.AssetExecutionContext, config: StageConfig, store: StoreResource
) -> dg.MaterializeResult:
    """The training id of every pixel, 0..N-1, 255 without a label."""
    with plain_failures():
        opened, name = store.open(), context.partition_key
        report = write_semantic_maps(opened, name, recompute=config.recompute)
        return dg.MaterializeResult(
            metadata={
                **training_previews.training_semantic(opened, name),
                **report_metadata(report),
                **provenance_metadata(opened, "training_semantic", name),
                **unlabelled_metadata(opened, name),
                "errors": failures_table(opened, "training_semantic", name),
            },
            data_version=data_version(opened, "training_semantic", name),
        )


@dg.asset(
    deps=["training_panoptic", "training_categories"],
    partitions_def=shards,
    group_name=GROUP,
    kinds={"numpy", "parquet"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["training_grounding"],
)
def training_grounding(
    context: dg.AssetExecutionContext, config: TrainingGroundingConfig, store: StoreResource
) -> dg.MaterializeResult:
    """Sentences that each mean one segment, from templates and your own file, with polygons."""
    with plain_failures():
        opened, name = store.open(), context.partition_key
        report = write_grounding(
            opened,
            name,
            sentences=config.sentences,
            params=config.params(),
            recompute=config.recompute,
        )
        return dg.MaterializeResult(
            metadata={
                "preview": training_previews.training_grounding(opened, name),
                **report_metadata(report),
                **provenance_metadata(opened, "training_grounding", name),
                **grounding_metadata(opened, name),
                "errors": failures_table(opened, "training_grounding", name),
            },
            data_version=data_version(opened, "training_grounding", name),
        )


@dg.asset(
    deps=[
        dg.AssetDep(step, partition_mapping=dg.AllPartitionMapping())
        for step in ("training_panoptic", "training_semantic", "training_grounding")
    ],
    group_name=GROUP,
    kinds={"json"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["training_dataset"],
)
def training_dataset(config: TrainingDatasetConfig, store: StoreResource) -> dg.MaterializeResult:
    """The folders `train` and `validation` that training reads, out of all finished shards."""
    with plain_failures():
        opened = store.open()
        splits = export_training_dataset(opened, config.folder or None, config.params())
        return dg.MaterializeResult(metadata=splits_metadata(opened, config.folder, splits))
