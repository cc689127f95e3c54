"""Jobs: the whole chain for a shard, and each stage alone."""

import dagster as dg

from seg_assets.defs.partitions import shards

label_shards = dg.define_asset_job(
    "label_shards",
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.assets("evaluation_report")
    - dg.AssetSelection.groups("training_data", "training"),
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

vote_shards = dg.define_asset_job(
    "vote_shards",
    selection=dg.AssetSelection.assets("ssa_masks", "ssa_maps"),
    description="The vote of the segmentor that the run config names, in masks that are there.",
    partitions_def=shards,
)

score_shards = dg.define_asset_job(
    "score_shards",
    selection=dg.AssetSelection.assets("evaluation_metrics"),
    description="Label maps and masks against ground truth.",
    partitions_def=shards,
)

report = dg.define_asset_job(
    "report",
    selection=dg.AssetSelection.assets("evaluation_report"),
    description="Adds up the metrics of all shards.",
)

training_shards = dg.define_asset_job(
    "training_shards",
    selection=dg.AssetSelection.assets(
        "raw_images", "training_panoptic", "training_semantic", "training_grounding"
    ),
    description="Ground truth of a shard as training data; needs training_categories.",
    partitions_def=shards,
)

training_folders = dg.define_asset_job(
    "training_folders",
    selection=dg.AssetSelection.assets("training_dataset"),
    description="The folders that training reads, out of the training data of all shards.",
)

finetune_sam = dg.define_asset_job(
    "finetune_sam",
    selection=dg.AssetSelection.assets("finetuned_sam"),
    description="Trains a SAM by boxes or points; what and how is in the run config.",
)

finetune_seem = dg.define_asset_job(
    "finetune_seem",
    selection=dg.AssetSelection.assets("finetuned_seem"),
    description="Trains a SEEM, by default on what training_folders has written.",
)
