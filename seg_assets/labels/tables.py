"""Which class tables a result is in: SEEM's own, that of the semantic maps, that of merged maps.

The source table is the one that a SEEM was trained with; its manifest entry names it. Semantic maps
are in base28 and merged maps in merged19 where class maps lead there. Where none does, they stay in
the table they come from: a SEEM fine-tuned on seven classes of your own labels in those seven.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from seg_assets.classes.mapping import ClassMap, find_class_map, load_class_map, own_folder
from seg_assets.classes.record import read_table_record
from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.errors import StoreError
from seg_assets.labels.params import MERGED_CLASSES, SEMANTIC_CLASSES, LabelParams
from seg_assets.modeling.manifest import manifest
from seg_assets.storage.reader import ShardReader

TableName = Literal["classes", "source_classes"]
SOURCE = "source"  # asks for semantic maps in the model's own classes


def semantic_map(source: str | Path | ClassTable, params: LabelParams) -> ClassMap:
    """From SEEM's own classes to those of the semantic maps.

    Args:
        source: SEEM's own table; of a table of your own give the path, beside which maps may lie.
        params: says which table is wanted. Only the usual one, base28, is a wish that a missing
            map turns into the source's own.

    Raises:
        InputError: a table is not known, another table than base28 is wanted and has no map, or a
            map file is faulty.
    """
    wanted = source if params.semantic_classes == SOURCE else params.semantic_classes
    pavement = params.pavement_to_sidewalk
    if wanted != SEMANTIC_CLASSES:
        return load_class_map(source, wanted, pavement_to_sidewalk=pavement)
    found = find_class_map(source, wanted, pavement_to_sidewalk=pavement)
    return found or ClassMap.identity(load_class_table(source))


def merged_map(
    semantic: ClassTable, classes: str = MERGED_CLASSES, folders: Sequence[Path] = ()
) -> ClassMap:
    """From the classes of the semantic maps to those of the merged maps.

    Args:
        semantic: table of the semantic maps.
        classes: the wanted table. Only the usual one, merged19, is a wish that a missing map turns
            into the semantic maps' own.
        folders: where class maps may lie besides, from `map_folders`.

    Raises:
        InputError: the table is not known, another table than merged19 is wanted and has no map,
            or a map file is faulty.
    """
    if classes != MERGED_CLASSES:
        return load_class_map(semantic, classes, folders=folders)
    return find_class_map(semantic, classes, folders=folders) or ClassMap.identity(semantic)


def stored_classes(shard: ShardReader, which: TableName = "classes") -> ClassTable:
    """The class table of the maps of a finished shard, from the shard itself.

    Args:
        shard: of `seem_labels`, `region_labels`, `semantic_maps` or `merged_maps`.
        which: the table of `label_map` and `class_id`; or that of `source_map` and `source_id`,
            SEEM's own, which only `seem_labels` and `region_labels` hold.

    Raises:
        StoreError: the shard does not say, as those of earlier versions.
    """
    told = shard.manifest
    if which not in told.provenance:
        raise StoreError(
            f"{told.asset} of shard {told.shard} does not say which classes it holds: "
            "materialise it again"
        )
    return read_table_record(told.provenance[which])


def map_folders(seem: str) -> tuple[Path, ...]:
    """Where class maps may lie besides the project's own: beside the table of this SEEM.

    A result keeps its tables but no folders of the machine that made it, so the model is looked up
    again; where it is not known any more there is no such folder.
    """
    found = manifest().get(seem)
    return () if found is None else own_folder(found.classes)
