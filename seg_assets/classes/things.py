"""Which classes have objects that are told apart, also where their table does not say."""

from functools import lru_cache

from seg_assets.classes.mapping import find_class_map
from seg_assets.classes.table import IGNORE_ID, ClassTable, load_class_table

_COCO = "coco133"


@lru_cache(maxsize=64)
def find_things(table: ClassTable) -> frozenset[int]:
    """Ids of the classes whose objects are told apart.

    What the table says; where it says nothing at all, the classes that receive more things than
    stuff of COCO's 133 classes, and none where no class map leads there from COCO.
    """
    if any(item.is_thing is not None for item in table.classes):
        return table.things
    coco = load_class_table(_COCO)
    found = find_class_map(coco, table)
    if found is None:
        return frozenset()
    balance = dict.fromkeys(range(len(table)), 0)
    for item in coco.classes:
        target = int(found.lut[item.id])
        if target != IGNORE_ID:
            balance[target] += 1 if item.is_thing else -1
    return frozenset(target for target, more in balance.items() if more > 0)
