"""seem_logits, seem_labels, region_labels: SEEM gives the regions their names."""

from collections.abc import Iterator

import dagster as dg

from seg_assets.defs import previews
from seg_assets.defs.config import StageConfig
from seg_assets.defs.failures import plain_failures
from seg_assets.defs.metadata import (
    data_version,
    failures_table,
    provenance_metadata,
    region_metadata,
    report_metadata,
)
from seg_assets.defs.partitions import shards
from seg_assets.defs.resources import DevicesResource, ModelsResource, StoreResource
from seg_assets.labels.params import LabelParams
from seg_assets.labels.tables import stored_classes
from seg_assets.stages.run import CODE_VERSIONS
from seg_assets.stages.seem_labels import SEEM_ASSETS, label_with_seem
from seg_assets.storage.store import Store

DESCRIPTIONS = {
    "seem_logits": (
        "The exact factors of SEEM's class scores: class logits and mask logits of the queries "
        "that matter, float16. `LogitFactors.from_row(row).scores()` rebuilds (classes, H, W)."
    ),
    "seem_labels": "SEEM's own label per pixel, in its own classes (COCO's 133) and as base28.",
    "region_labels": (
        "The class of each SAM region, with score, margin to the runner-up, the share of its "
        "pixels where SEEM's own map agrees, and whether the fallback vote decided."
    ),
}


def logit_metadata(store: Store, shard: str) -> dict[str, float]:
    """Queries and bytes per image, and how many times larger dense float16 scores would be.

    The dense scores are those that the reference pipeline saved: every class at every pixel.
    """
    reader = store.open_shard("seem_logits", shard)
    sizes = reader.read(columns=["height", "width", "queries"]).to_pandas()
    images, stored = max(len(sizes), 1), reader.manifest.totals["bytes"]
    classes = len(stored_classes(reader, "source_classes"))
    dense = 2 * classes * int((sizes["height"].astype(int) * sizes["width"]).sum())
    return {
        "queries_per_image": round(float(sizes["queries"].sum()) / images, 2),
        "logit_bytes_per_image": round(stored / images),
        "times_smaller_than_dense_scores": round(dense / max(stored, 1), 1),
    }


class SeemConfig(LabelParams, StageConfig):
    """The labeller's parameters, as the library knows them, and options of the stage."""

    def params(self) -> LabelParams:
        """The library's parameters alone."""
        return LabelParams(**self.model_dump(exclude={"recompute"}))


@dg.multi_asset(
    name="seem",
    specs=[
        dg.AssetSpec(
            asset,
            deps=["raw_images", "sam_masks"],
            description=DESCRIPTIONS[asset],
            group_name="labels",
            kinds={"pytorch", "parquet"},
            owners=["team:vision"],
            code_version=CODE_VERSIONS[asset],
        )
        for asset in SEEM_ASSETS
    ],
    partitions_def=shards,
    pool="gpu",
)
def seem(
    context: dg.AssetExecutionContext,
    config: SeemConfig,
    store: StoreResource,
    models: ModelsResource,
    devices: DevicesResource,
) -> Iterator[dg.MaterializeResult]:
    """One pass of SEEM per image serves all three: features once, then every region as a prompt."""
    with plain_failures():
        opened, name = store.open(), context.partition_key
        with devices.lease() as device:
            report = label_with_seem(
                opened,
                name,
                seem=models.seem_name,
                params=config.params(),
                device=device,
                recompute=config.recompute,
            )
        for asset in SEEM_ASSETS:
            yield dg.MaterializeResult(
                asset_key=asset,
                metadata={
                    **(previews.label_maps(opened, name, asset) if asset == "seem_labels" else {}),
                    **report_metadata(report, device=device),
                    **provenance_metadata(opened, asset, name),
                    **(region_metadata(opened, name) if asset == "region_labels" else {}),
                    **(logit_metadata(opened, name) if asset == "seem_logits" else {}),
                    "errors": failures_table(opened, asset, name),
                },
                data_version=data_version(opened, asset, name),
            )
