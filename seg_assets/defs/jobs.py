"""Jobs: the whole chain for a shard, and each stage alone."""

import dagster as dg

from seg_assets.defs.partitions import shards

label_shards = dg.define_asset_job(
    "label_shards",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("evaluation_report"),
    description="Everything for one shard: masks, names, maps and metrics.",
    partitions_def=shards,
)

mask_shards = dg.define_asset_job(
    "mask_shards",
    selection=dg.AssetSelection.assets("raw_images", "sam_masks"),
    description="Only SAM's masks; names can follow at any time.",
    partitions_def=shards,
)

name_shards = dg.define_asset_job(
    "name_shards",
    selection=dg.AssetSelection.assets(
        "seem_logits", "seem_labels", "region_labels", "semantic_maps", "merged_maps"
    ),
    description="SEEM labels, region labels and maps, from masks that are there.",
    partitions_def=shards,
)

score_shards = dg.define_asset_job(
    "score_shards",
    selection=dg.AssetSelection.assets("evaluation_metrics"),
    description="Merged maps against ground truth.",
    partitions_def=shards,
)

report = dg.define_asset_job(
    "report",
    selection=dg.AssetSelection.assets("evaluation_report"),
    description="Adds up the metrics of all shards.",
)
