"""Which label sets of a shard are compared with its ground truth, and in which classes."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg_assets.classes.mapping import ClassMap, load_class_map, own_folder
from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.data.ground_truth.reader import GroundTruth
from seg_assets.data.ground_truth.shard_truth import truth_of_shard
from seg_assets.data.shards import Shard
from seg_assets.errors import (
    InputError,
    StoreError,
)
from seg_assets.evaluation.label_set import TruthInClasses
from seg_assets.evaluation.segments import Segments, translate_segments
from seg_assets.labels.segmentors.load import segmentor_folders
from seg_assets.labels.tables import map_folders, stored_classes
from seg_assets.storage.lineage import upstream
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.store import Store

logger = logging.getLogger(__name__)

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
    """Where the maps of a method lie, and how they come into the classes of a comparison.

    Attributes:
        maps: holds the maps.
        class_map: from the classes of the maps to those of the comparison.
        column: of `maps`.
        regions_map: from the classes in which regions were named to those of the maps; None where
            they are the same.
    """

    maps: ShardReader
    class_map: ClassMap
    column: str = "label_map"
    regions_map: ClassMap | None = None

    def read(self, image_id: str) -> np.ndarray:
        """(H, W) uint8 in the maps' own classes."""
        return decode_label_map(self.maps.rows(image_id)[0][self.column]["bytes"])

    def named(self, segments: Segments | None) -> Segments | None:
        """Bring the regions as they were named into the classes of the maps."""
        if segments is None or self.regions_map is None:
            return segments
        return translate_segments(segments, self.regions_map)


@dataclass(frozen=True)
class Comparison:
    """What of a shard is compared, and in which classes.

    Attributes:
        table: in which all meet.
        truth: the shard's ground truth; None without any.
        truth_map: from its classes to `table`; None without any.
        sources: the maps, by method; {} without ground truth.
        left_out: methods that cannot be compared beside the others, and why.
        readers: the finished tables that the methods are made of, by asset.
        main: the one of them whose images are compared.
    """

    table: ClassTable
    truth: GroundTruth | None
    truth_map: ClassMap | None
    sources: Mapping[str, MapSource]
    left_out: Mapping[str, str]
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
            InputError: the ground truth, or the maps of the first methods, have no class map into
                the wanted classes.
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
            return cls(table, None, None, {}, {}, readers, main)
        truth = truth_of_shard(shard)
        folders = _map_folders(main, classes)
        truth_map = load_class_map(truth.table, table, folders=folders)
        sources, left_out = _sources(readers, table, folders)
        return cls(table, truth, truth_map, sources, left_out, readers, main)

    def read_truth(self, image_id: str) -> TruthInClasses | None:
        """The truth of an image in the classes of the comparison; None where there is none.

        Raises:
            ComparisonError: it cannot be read, or has ids that are not in its table.
        """
        if self.truth is None or self.truth_map is None or self.truth.label_uri(image_id) is None:
            return None
        return TruthInClasses.read(self.truth, image_id, self.truth_map)


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
) -> tuple[dict[str, MapSource], dict[str, str]]:
    """Where the maps of the methods lie, and which methods are left out for what reason."""
    sources: dict[str, MapSource] = {}
    left_out: dict[str, str] = {}
    if "merged_maps" in found:
        # SEEM's own map and the semantic map share a table: only the masks make a difference
        semantic_maps, merged_maps = found["semantic_maps"], found["merged_maps"]
        to_table = load_class_map(stored_classes(semantic_maps), table, folders=folders)
        sources[SAM_SEEM] = MapSource(semantic_maps, to_table)
        if table == stored_classes(merged_maps):
            # regions are named in the classes of the semantic maps, also where these were merged
            same = ClassMap.identity(table)
            sources[SAM_SEEM] = MapSource(merged_maps, same, regions_map=to_table)
        sources[SEEM] = MapSource(found["seem_labels"], to_table)
    if "ssa_maps" in found:
        ssa_maps = found["ssa_maps"]
        segmentor = ssa_maps.manifest.provenance["segmentor"]
        methods = [SSA] if SEEM in sources and segmentor == SEEM else [SSA, SEGMENTOR]
        places = (*folders, *segmentor_folders(segmentor))
        try:
            to_table = load_class_map(stored_classes(ssa_maps), table, folders=places)
        except InputError as error:
            if not sources:
                raise
            # the others are worth comparing all the same
            logger.warning("%s is not compared: %s", METHODS[SSA], error)
            left_out = dict.fromkeys(methods, str(error))
        else:
            columns = ("label_map", "segmentor_map")
            for method, column in zip(methods, columns, strict=False):
                sources[method] = MapSource(ssa_maps, to_table, column)
    return sources, left_out


def _map_folders(maps: ShardReader, classes: str | None) -> tuple[Path, ...]:
    """Folders with class maps of your own: of the model, of the merged classes, of the wanted."""
    told = maps.manifest.provenance
    folders = () if classes is None else own_folder(classes)
    if maps.manifest.asset == "merged_maps":
        folders = (*map_folders(told["model"]), *own_folder(told["wanted_classes"]), *folders)
    return folders
