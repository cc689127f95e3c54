"""semantic_maps and merged_maps: from named regions to a class per pixel."""

from seg_assets.classes.mapping import load_class_map
from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.labels.fusion import RegionLabel, paint_labels
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
from seg_assets.stages.run import (
    LIGHT_IMAGES_PER_PART,
    RowsOfImage,
    StageReport,
    Stopwatch,
    run_stage,
    upstream,
)
from seg_assets.storage.png import decode_label_map, png_cell
from seg_assets.storage.store import Store

SEMANTIC_CLASSES = "base28"


def paint_semantic_maps(store: Store, shard: str, *, recompute: bool = False) -> StageReport:
    """Write a base28 map per image: each region's class, SEEM's own label where there is none."""
    masks = store.open_shard("sam_masks", shard)
    seem_labels = store.open_shard("seem_labels", shard)
    region_labels = store.open_shard("region_labels", shard)
    palette = load_class_table(SEMANTIC_CLASSES).palette()

    def prepare(watch: Stopwatch):
        def paint(image_id: str) -> RowsOfImage:
            with watch.time("read"):
                seem_map = decode_label_map(seem_labels.rows(image_id)[0]["label_map"]["bytes"])
                records = [MaskRecord.from_row(row) for row in masks.rows(image_id)]
                regions = [RegionLabel.from_row(row) for row in region_labels.rows(image_id)]
            with watch.time("paint"):
                region_map = paint_regions(records, *seem_map.shape)
                label_map = paint_labels(region_map, regions, seem_map)
            with watch.time("encode"):
                row = {"image_id": image_id, "label_map": png_cell(label_map, palette, image_id)}
            return {"semantic_maps": [row]}

        return paint

    return run_stage(
        store,
        shard,
        ["semantic_maps"],
        region_labels.image_ids,
        {"upstream": upstream(masks, seem_labels, region_labels)},
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


def merge_maps(
    store: Store, shard: str, *, classes: str = "merged19", recompute: bool = False
) -> StageReport:
    """Write each semantic map in coarser classes.

    Args:
        store: where `semantic_maps` of the shard lies.
        shard: name of the shard.
        classes: a class table that base28 has a map to.
        recompute: do finished images anew.
    """
    semantic_maps = store.open_shard("semantic_maps", shard)
    class_map = load_class_map(SEMANTIC_CLASSES, classes)
    palette = class_map.target.palette()

    def prepare(watch: Stopwatch):
        def merge(image_id: str) -> RowsOfImage:
            with watch.time("read"):
                label_map = decode_label_map(semantic_maps.rows(image_id)[0]["label_map"]["bytes"])
            with watch.time("merge"):
                merged = class_map.apply(label_map, where=f"image {image_id} of shard {shard}")
            with watch.time("encode"):
                row = {"image_id": image_id, "label_map": png_cell(merged, palette, image_id)}
            return {"merged_maps": [row]}

        return merge

    return run_stage(
        store,
        shard,
        ["merged_maps"],
        semantic_maps.image_ids,
        {
            "classes": classes,
            "class_map": class_map.digest,
            "upstream": upstream(semantic_maps),
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


def map_classes(store: Store, asset: str, shard: str) -> ClassTable:
    """The class table of the stored maps of `seem_labels`, `semantic_maps` or `merged_maps`."""
    if asset == "merged_maps":
        return load_class_table(store.open_shard(asset, shard).manifest.provenance["classes"])
    return load_class_table(SEMANTIC_CLASSES)
