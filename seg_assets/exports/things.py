"""The classes as COCO's categories, things and stuff."""

from collections.abc import Collection

from seg_assets.classes.table import ClassTable
from seg_assets.classes.things import find_things
from seg_assets.data.panoptic.categories import CategoryTable


def thing_names(table: ClassTable, wanted: Collection[str] | None = None) -> frozenset[str]:
    """Names of the classes whose objects are told apart.

    Args:
        table: the classes.
        wanted: the answer, where it is known; else see `classes.things.find_things`.

    Raises:
        UnknownClassError: a wanted name is not in the table.
    """
    if wanted is not None:
        return frozenset(table.names[table.id_of(name)] for name in wanted)
    return frozenset(table.names[class_id] for class_id in find_things(table))


def categories_of(table: ClassTable, wanted: Collection[str] | None = None) -> CategoryTable:
    """The classes as COCO's categories: id = class id + 1; colours unique, neither black nor white.

    Args:
        table: the classes.
        wanted: see `thing_names`.
    """
    return CategoryTable.from_class_table(table, thing_names(table, wanted))
