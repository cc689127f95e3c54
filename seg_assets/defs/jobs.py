"""Jobs: the whole chain for a shard, and each stage alone. One run is one shard in one process."""

import dagster as dg

from seg_assets.defs.partitions import shards

# In one process per shard: models stay loaded between steps and no step pays for another start.
in_one_process = {"partitions_def": shards, "executor_def": dg.in_process_executor}

label_shards = dg.define_asset_job(
    "label_shards",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("evaluation_report"),
    description="Everything for one shard: masks, names, maps and metrics.",
    **in_one_process,
)

mask_shards = dg.define_asset_job(
    "mask_shards",
    selection=dg.AssetSelection.assets("raw_images", "sam_masks"),
    description="Only SAM's masks; names can follow at any time.",
    **in_one_process,
)

name_shards = dg.define_asset_job(
    "name_shards",
    selection=dg.AssetSelection.assets(
        "seem_logits", "seem_labels", "region_labels", "semantic_maps", "merged_maps"
    ),
    description="SEEM labels, region labels and maps, from masks that are there.",
    **in_one_process,
)

score_shards = dg.define_asset_job(
    "score_shards",
    selection=dg.AssetSelection.assets("evaluation_metrics"),
    description="Merged maps against ground truth.",
    **in_one_process,
)

report = dg.define_asset_job(
    "report",
    selection=dg.AssetSelection.assets("evaluation_report"),
    description="Adds up the metrics of all shards.",
    executor_def=dg.in_process_executor,
)
