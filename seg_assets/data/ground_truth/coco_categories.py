"""The categories of a COCO file as classes of a table."""

from collections.abc import Iterable

from seg_assets.classes.table import ClassTable, class_table_names, load_class_table
from seg_assets.errors import InputError


def classes_of_categories(
    categories: Iterable[tuple[int, str]], table: ClassTable, *, format: str, where: str
) -> dict[int, int]:
    """Match categories and classes by name.

    Args:
        categories: id and name of each.
        table: the classes.
        format: the label format without its table, for messages.
        where: the file, for messages.

    Returns:
        Class id by category id.

    Raises:
        InputError: an id or a name twice, or a name that the table does not have.
    """
    listed = list(categories)
    names = [name for _, name in listed]
    known = set(table.names)
    strange = [name for name in names if name not in known]
    if strange:
        fitting = [t for t in class_table_names() if set(names) <= set(load_class_table(t).names)]
        advice = f"{format}:{fitting[0]}" if fitting else f"{format}:<a class table of yours>.toml"
        raise InputError(
            f"{where} has the category {strange[0]!r}, which is not in the class table "
            f"{table.name}: give the label format {advice}"
        )
    classes = {category_id: table.id_of(name) for category_id, name in listed}
    if len(classes) != len(listed) or len(set(names)) != len(names):
        raise InputError(f"{where} lists a category twice: give each an id and a name of its own")
    return classes
