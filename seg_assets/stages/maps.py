"""semantic_maps and merged_maps: from named regions to a class per pixel."""

from seg_assets.classes.record import table_record
from seg_assets.labels.fusion import RegionLabel, paint_labels
from seg_assets.labels.params import MERGED_CLASSES
from seg_assets.labels.tables import map_folders, merged_map, stored_classes
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
from seg_assets.stages.run import (
    LIGHT_IMAGES_PER_PART,
    RowsOfImage,
    StageReport,
    Stopwatch,
    run_stage,
)
from seg_assets.storage.lineage import upstream
from seg_assets.storage.png import decode_label_map, png_cell
from seg_assets.storage.store import Store


def paint_semantic_maps(store: Store, shard: str, *, recompute: bool = False) -> StageReport:
    """Write a class map per image: each region's class, SEEM's own label where there is none."""
    masks = store.open_shard("sam_masks", shard)
    seem_labels = store.open_shard("seem_labels", shard)
    region_labels = store.open_shard("region_labels", shard)
    table = stored_classes(seem_labels)
    palette = table.palette()

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
        {
            "model": seem_labels.manifest.provenance["model"],
            "classes": table_record(table),
            "upstream": upstream(masks, seem_labels, region_labels),
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


def merge_maps(
    store: Store, shard: str, *, classes: str = MERGED_CLASSES, recompute: bool = False
) -> StageReport:
    """Write each semantic map in coarser classes.

    Args:
        store: where `semantic_maps` of the shard lies.
        shard: name of the shard.
        classes: a class table that the semantic maps' own has a map to; where merged19 has none,
            the maps stay as they are.
        recompute: do finished images anew.
    """
    semantic_maps = store.open_shard("semantic_maps", shard)
    table = stored_classes(semantic_maps)
    seem = semantic_maps.manifest.provenance["model"]
    class_map = merged_map(table, classes, map_folders(seem))
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
            "model": seem,
            "wanted_classes": classes,
            "classes": table_record(class_map.target),
            "class_map": class_map.digest,
            "upstream": upstream(semantic_maps),
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )
