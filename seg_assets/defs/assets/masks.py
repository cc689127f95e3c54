"""sam_masks: precise and nameless."""

import dagster as dg
from pydantic import Field

from seg_assets.defs import previews
from seg_assets.defs.config import StageConfig
from seg_assets.defs.failures import plain_failures
from seg_assets.defs.metadata import (
    data_version,
    failures_table,
    mask_metadata,
    provenance_metadata,
    report_metadata,
)
from seg_assets.defs.partitions import shards
from seg_assets.defs.resources import DevicesResource, ModelsResource, StoreResource
from seg_assets.masks.params import MaskParams
from seg_assets.stages.run import CODE_VERSIONS
from seg_assets.stages.sam_masks import generate_sam_masks


class SamMasksConfig(MaskParams, StageConfig):
    """The mask generator's parameters, as the library knows them, and options of the stage.

    The defaults are those of the preset "upstream", as on the command line and in `Pipeline`.
    """

    min_mask_region_area: int = Field(
        default=MaskParams.preset("upstream").min_mask_region_area,
        ge=0,
        description=MaskParams.model_fields["min_mask_region_area"].description,
    )

    def params(self) -> MaskParams:
        """The library's parameters alone."""
        return MaskParams(**self.model_dump(exclude={"recompute"}))


@dg.asset(
    deps=["raw_images"],
    partitions_def=shards,
    pool="gpu",
    group_name="masks",
    kinds={"pytorch", "parquet"},
    owners=["team:vision"],
    code_version=CODE_VERSIONS["sam_masks"],
)
def sam_masks(
    context: dg.AssetExecutionContext,
    config: SamMasksConfig,
    store: StoreResource,
    models: ModelsResource,
    devices: DevicesResource,
) -> dg.MaterializeResult:
    """Everything that SAM cuts out of each image: COCO run lengths, boxes, scores.

    Masks overlap and have no names. The fields are SA-1B's own.
    """
    with plain_failures():
        opened, name = store.open(), context.partition_key
        with devices.lease() as device:
            report = generate_sam_masks(
                opened,
                name,
                sam=models.sam_name,
                params=config.params(),
                device=device,
                recompute=config.recompute,
            )
        return dg.MaterializeResult(
            metadata={
                "preview": previews.sam_masks(opened, name),
                **report_metadata(report, device=device),
                **provenance_metadata(opened, "sam_masks", name),
                **mask_metadata(opened, name),
                "errors": failures_table(opened, "sam_masks", name),
            },
            data_version=data_version(opened, "sam_masks", name),
        )
