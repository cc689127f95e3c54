"""Which classes have objects that are told apart, also where their table says nothing."""

from collections.abc import Collection

from seg_assets.classes.mapping import find_class_map
from seg_assets.classes.table import IGNORE_ID, ClassTable, load_class_table
from seg_assets.data.panoptic.categories import CategoryTable

_COCO = "coco133"


def find_things(table: ClassTable, wanted: Collection[str] | None = None) -> frozenset[str]:
    """Names of the classes whose objects are told apart.

    Args:
        table: the classes.
        wanted: the answer, where it is known; else what the table says; where it says nothing, the
            classes that receive more things than stuff of COCO's 133 classes.

    Raises:
        UnknownClassError: a wanted name is not in the table.
    """
    if wanted is not None:
        return frozenset(table.names[table.id_of(name)] for name in wanted)
    if any(item.is_thing is not None for item in table.classes):
        return frozenset(item.name for item in table.classes if item.is_thing)
    coco = load_class_table(_COCO)
    found = find_class_map(coco, table)
    if found is None:
        return frozenset()
    balance = dict.fromkeys(range(len(table)), 0)
    for item in coco.classes:
        target = int(found.lut[item.id])
        if target != IGNORE_ID:
            balance[target] += 1 if item.is_thing else -1
    return frozenset(table.names[target] for target, more in balance.items() if more > 0)


def categories_of(table: ClassTable, wanted: Collection[str] | None = None) -> CategoryTable:
    """The classes as COCO's categories: id = class id + 1; colours unique, neither black nor white.

    Args:
        table: the classes.
        wanted: see `find_things`.
    """
    return CategoryTable.from_class_table(table, find_things(table, wanted))
