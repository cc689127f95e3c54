"""evaluation_metrics, evaluation_masks, evaluation_objects: what was made against ground truth."""

from seg_assets.classes.record import table_record
from seg_assets.data.shards import Shard
from seg_assets.evaluation.label_set import LabelSet, compare_labels
from seg_assets.evaluation.mask_set import find_objects, score_regions
from seg_assets.evaluation.segments import Segments, named_regions, voted_regions
from seg_assets.labels.fusion import RegionLabel
from seg_assets.labels.ssa import MaskVote
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import RegionMap, paint_regions
from seg_assets.stages.comparison import SAM_SEEM, SSA, Comparison
from seg_assets.stages.run import (
    LIGHT_IMAGES_PER_PART,
    RowsOfImage,
    StageReport,
    Stopwatch,
    run_stage,
    sha256_of,
)
from seg_assets.storage.lineage import upstream
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.store import Store

EVALUATION_ASSETS = ("evaluation_metrics", "evaluation_masks", "evaluation_objects")


def score_maps(
    store: Store,
    shard: Shard,
    *,
    classes: str | None = None,
    boundaries: bool = True,
    recompute: bool = False,
) -> StageReport:
    """Compare all label sets of a shard, and its masks, with the ground truth.

    Which label sets there are follows from what is finished: SAM + SEEM and SEEM alone with
    `merged_maps`, SSA and its segmentor with `ssa_maps`. All are brought into the same classes. An
    image without ground truth gives no rows; one that cannot be compared goes into the error table
    under what is wrong with it.

    Args:
        store: where `sam_masks` of the shard and the maps lie.
        shard: the shard's definition, which says where its ground truth lies and how it is written.
        classes: the class table in which they meet, to which all must have a class map; by default
            that of `merged_maps`, or of `ssa_maps` where there are no others.
        boundaries: compare the classes' outlines as well.
        recompute: do finished images anew.

    Raises:
        InputError: the maps or the ground truth have no class map into the wanted classes.
        StoreError: there are no maps, or the shard was registered with other images since.
    """
    found = Comparison.open(store, shard, classes)
    masks = store.open_shard("sam_masks", shard.name)
    table, sources = found.table, found.sources
    region_labels, ssa_masks = found.readers.get("region_labels"), found.readers.get("ssa_masks")

    def prepare(watch: Stopwatch):
        def score(image_id: str) -> RowsOfImage:
            with watch.time("read"):
                true = found.read_truth(image_id)
                if true is None:
                    return {asset: [] for asset in EVALUATION_ASSETS}
                records = [MaskRecord.from_row(row) for row in masks.rows(image_id)]
                # what a method could not label, it is not compared on: the report counts it
                maps = {
                    method: source.read(image_id)
                    for method, source in sources.items()
                    if image_id in source.maps
                }
            first = next(iter(maps))
            with watch.time("regions"):
                region_map = paint_regions(records, *maps[first].shape)
                segments = {
                    SAM_SEEM: _named(region_labels, image_id, region_map),
                    SSA: _voted(ssa_masks, image_id, region_map),
                }
            with watch.time("compare"):
                rows = []
                for method, label_map in maps.items():
                    source = sources[method]
                    own = source.named(segments.get(method))
                    label_set = LabelSet(label_map, source.class_map, own)
                    sums = compare_labels(label_set, true, boundaries=boundaries, where=image_id)
                    row = {
                        "image_id": image_id,
                        "method": method,
                        "table": table.name,
                        "pixels": int(true.label_map.size),
                        "ignored": int(true.label_map.size) - sums.confusion.pixels,
                        **sums.to_row(),
                    }
                    rows.append(row)
            with watch.time("masks"):
                outside = sources[first].class_map.apply(maps[first])
                purity, oracle = score_regions(region_map, outside, true.label_map, table, image_id)
                objects = find_objects(true, records)
                of_masks = {
                    "image_id": image_id,
                    "purity": purity.to_list(),
                    "oracle": oracle.to_list(),
                    "has_objects": objects is not None,
                }
            return {
                "evaluation_metrics": rows,
                "evaluation_masks": [of_masks],
                "evaluation_objects": [item.to_row(image_id) for item in objects or ()],
            }

        return score

    images = found.main.image_ids
    uris = {} if found.truth is None else {i: found.truth.label_uri(i) for i in images}
    return run_stage(
        store,
        shard.name,
        EVALUATION_ASSETS,
        images,
        {
            "classes": table_record(table),
            "wanted_classes": classes,
            "boundaries": boundaries,
            "label_format": shard.label_format,
            "labels": sha256_of([[i, uris.get(i)] for i in images]),
            "truth_map": found.truth_map.digest if found.truth_map is not None else None,
            "prediction_maps": {
                method: {
                    "maps": source.maps.manifest.asset,
                    "class_map": source.class_map.digest,
                    "regions_map": source.regions_map.digest if source.regions_map else None,
                    "unreachable": [item.id for item in source.class_map.unreachable()],
                }
                for method, source in sources.items()
            },
            "left_out": dict(found.left_out),
            "upstream": upstream(masks, *found.readers.values()),
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


def _named(
    region_labels: ShardReader | None, image_id: str, region_map: RegionMap
) -> Segments | None:
    if region_labels is None or image_id not in region_labels:
        return None
    rows = region_labels.rows(image_id)
    return named_regions(region_map, [RegionLabel.from_row(row) for row in rows])


def _voted(ssa_masks: ShardReader | None, image_id: str, region_map: RegionMap) -> Segments | None:
    if ssa_masks is None or image_id not in ssa_masks:
        return None
    return voted_regions(region_map, [MaskVote.from_row(row) for row in ssa_masks.rows(image_id)])
