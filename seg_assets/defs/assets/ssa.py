"""ssa_masks, ssa_maps: a segmentor's label map decides what each mask is called."""

from collections.abc import Iterator
from contextlib import nullcontext

import dagster as dg

from seg_assets.defs import previews
from seg_assets.defs.config import StageConfig
from seg_assets.defs.failures import plain_failures
from seg_assets.defs.metadata import (
    data_version,
    failures_table,
    provenance_metadata,
    report_metadata,
    vote_metadata,
)
from seg_assets.defs.partitions import shards
from seg_assets.defs.resources import DevicesResource, StoreResource
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.stages.run import CODE_VERSIONS
from seg_assets.stages.ssa import SSA_ASSETS, needs_device, vote_shard

DESCRIPTIONS = {
    "ssa_masks": (
        "The class that most pixels of each SAM mask have in the segmentor's map, its share of "
        "them, and the runners-up."
    ),
    "ssa_maps": (
        "The masks painted in their classes, larger ones first, over the segmentor's own map, "
        "which is kept beside it; in the segmentor's classes."
    ),
}


class SsaConfig(SsaParams, StageConfig):
    """The segmentor and the rule of the vote, as the library knows them; options of the stage."""

    def params(self) -> SsaParams:
        """The library's parameters alone."""
        return SsaParams(**self.model_dump(exclude={"recompute"}))


@dg.multi_asset(
    name="ssa",
    specs=[
        dg.AssetSpec(
            asset,
            deps=["raw_images", "sam_masks", "seem_labels"],
            description=DESCRIPTIONS[asset],
            group_name="labels",
            kinds={"numpy", "parquet"},
            owners=["team:vision"],
            code_version=CODE_VERSIONS[asset],
        )
        for asset in SSA_ASSETS
    ],
    partitions_def=shards,
    pool="gpu",
)
def ssa(
    context: dg.AssetExecutionContext,
    config: SsaConfig,
    store: StoreResource,
    devices: DevicesResource,
) -> Iterator[dg.MaterializeResult]:
    """By default SEEM's stored map votes; `segmentor` names any other, see docs/segmentors.md."""
    with plain_failures():
        opened, name, params = store.open(), context.partition_key, config.params()
        with devices.lease() if needs_device(params) else nullcontext("cpu") as device:
            report = vote_shard(
                opened, name, params=params, device=device, recompute=config.recompute
            )
        for asset in SSA_ASSETS:
            yield dg.MaterializeResult(
                asset_key=asset,
                metadata={
                    **(previews.label_maps(opened, name, asset) if asset == "ssa_maps" else {}),
                    **report_metadata(report, device=device if needs_device(params) else None),
                    **provenance_metadata(opened, asset, name),
                    **(vote_metadata(opened, name) if asset == "ssa_masks" else {}),
                    "errors": failures_table(opened, asset, name),
                },
                data_version=data_version(opened, asset, name),
            )
