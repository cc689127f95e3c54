"""evaluation_metrics, evaluation_masks, evaluation_objects: what was made against ground truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg_assets.classes.mapping import ClassMap, load_class_map, own_folder
from seg_assets.classes.record import table_record
from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.ground_truth.shard_truth import truth_of_shard
from seg_assets.data.shards import Shard
from seg_assets.errors import ComparisonError, ImageError, StoreError, UnknownClassError
from seg_assets.evaluation.label_set import LabelSet, TruthInClasses, compare_labels
from seg_assets.evaluation.mask_set import find_objects, score_regions
from seg_assets.evaluation.segments import Segments, named_regions, voted_regions
from seg_assets.labels.fusion import RegionLabel
from seg_assets.labels.ssa import MaskVote
from seg_assets.labels.tables import map_folders, stored_classes
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import RegionMap, paint_regions
from seg_assets.stages.run import (
    LIGHT_IMAGES_PER_PART,
    RowsOfImage,
    StageReport,
    Stopwatch,
    run_stage,
    sha256_of,
)
from seg_assets.storage.lineage import upstream
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.store import Store

EVALUATION_ASSETS = ("evaluation_metrics", "evaluation_masks", "evaluation_objects")

SAM_SEEM, SEEM, SSA, SEGMENTOR = "sam_seem", "seem", "ssa", "segmentor"
METHODS = {
    SAM_SEEM: "SAM + SEEM",
    SEEM: "SEEM alone",
    SSA: "SSA",
    SEGMENTOR: "segmentor alone",
}
"""What is compared with the truth: SEEM's names on SAM's regions, SEEM's own map; a segmentor's
votes in SAM's masks, and that segmentor's own map, where it is not SEEM's."""


@dataclass(frozen=True)
class MapSource:
    """Where the maps of a method lie, and how they come into the classes of a comparison."""

    maps: ShardReader
    class_map: ClassMap
    column: str = "label_map"

    def read(self, image_id: str) -> np.ndarray:
        """(H, W) uint8 in the maps' own classes."""
        return decode_label_map(self.maps.rows(image_id)[0][self.column]["bytes"])


@dataclass(frozen=True)
class Comparison:
    """What of a shard is compared, and in which classes.

    Attributes:
        table: in which all meet.
        truth: the shard's ground truth; None without any.
        truth_map: from its classes to `table`; None without any.
        sources: the maps, by method; {} without ground truth.
        readers: the finished tables that the methods are made of, by asset.
        main: the one of them whose images are compared.
    """

    table: ClassTable
    truth: GroundTruth | None
    truth_map: ClassMap | None
    sources: Mapping[str, MapSource]
    readers: Mapping[str, ShardReader]
    main: ShardReader

    @classmethod
    def open(cls, store: Store, shard: Shard, classes: str | None) -> "Comparison":
        """Find out what there is.

        Args:
            store: where the maps of the shard lie.
            shard: the shard's definition.
            classes: name or path of a class table; None for that of the maps.

        Raises:
            InputError: the maps or the ground truth have no class map into the wanted classes.
            StoreError: there are no maps, or the shard was registered with other images since.
        """
        readers = _finished(store, shard.name)
        upstream(*readers.values())  # before their classes are compared, which may not fit then
        main = readers["merged_maps" if "merged_maps" in readers else "ssa_maps"]
        table = stored_classes(main) if classes is None else load_class_table(classes)
        known = {image.image_id for image in shard.images}
        if strangers := [i for i in main.image_ids if i not in known]:
            raise StoreError(
                f"{main.manifest.asset} of shard {shard.name} holds {strangers[0]}, which the "
                "shard no longer does: materialise the shard anew, from raw_images on"
            )
        if shard.label_format is None:
            return cls(table, None, None, {}, readers, main)
        truth = truth_of_shard(shard)
        folders = _map_folders(main, classes)
        truth_map = load_class_map(truth.table, table, folders=folders)
        return cls(table, truth, truth_map, _sources(readers, table, folders), readers, main)

    def read_truth(self, image_id: str) -> TruthInClasses | None:
        """The truth of an image in the classes of the comparison; None where there is none.

        Raises:
            ComparisonError: it cannot be read, or has ids that are not in its table.
        """
        if self.truth is None or self.truth_map is None or self.truth.label_uri(image_id) is None:
            return None
        try:
            return TruthInClasses.of(self.truth.read(image_id), self.truth_map, image_id)
        except UnknownClassError as error:
            raise ComparisonError("unknown ids", str(error)) from error
        except ComparisonError:
            raise
        except ImageError as error:
            raise ComparisonError("unreadable truth", str(error)) from error


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
                    class_map = sources[method].class_map
                    label_set = LabelSet(label_map, class_map, segments.get(method))
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
                method: {"maps": source.maps.manifest.asset, "class_map": source.class_map.digest}
                for method, source in sources.items()
            },
            "upstream": upstream(masks, *found.readers.values()),
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


def _finished(store: Store, shard: str) -> dict[str, ShardReader]:
    """The finished label sets of a shard: SEEM's four tables, SSA's two, or both.

    Raises:
        StoreError: neither is there, or only a part of one.
    """
    chain = ("merged_maps", "semantic_maps", "seem_labels", "region_labels")
    voted = ("ssa_maps", "ssa_masks")
    wanted = [names for names in (chain, voted) if store.is_complete(names[0], shard)]
    return {name: store.open_shard(name, shard) for names in wanted or [chain] for name in names}


def _sources(
    found: Mapping[str, ShardReader], table: ClassTable, folders: tuple[Path, ...]
) -> dict[str, MapSource]:
    sources: dict[str, MapSource] = {}
    if "merged_maps" in found:
        # SEEM's own map and the semantic map share a table: only the masks make a difference
        semantic_maps, merged_maps = found["semantic_maps"], found["merged_maps"]
        to_table = load_class_map(stored_classes(semantic_maps), table, folders=folders)
        sources[SAM_SEEM] = MapSource(semantic_maps, to_table)
        if table == stored_classes(merged_maps):
            sources[SAM_SEEM] = MapSource(merged_maps, ClassMap.identity(table))
        sources[SEEM] = MapSource(found["seem_labels"], to_table)
    if "ssa_maps" in found:
        ssa_maps = found["ssa_maps"]
        to_table = load_class_map(stored_classes(ssa_maps), table, folders=folders)
        sources[SSA] = MapSource(ssa_maps, to_table)
        if SEEM not in sources or ssa_maps.manifest.provenance["segmentor"] != SEEM:
            sources[SEGMENTOR] = MapSource(ssa_maps, to_table, "segmentor_map")
    return sources


def _map_folders(maps: ShardReader, classes: str | None) -> tuple[Path, ...]:
    """Folders with class maps of your own: of the model, of the merged classes, of the wanted."""
    told = maps.manifest.provenance
    folders = () if classes is None else own_folder(classes)
    if maps.manifest.asset == "merged_maps":
        folders = (*map_folders(told["model"]), *own_folder(told["wanted_classes"]), *folders)
    return folders


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
