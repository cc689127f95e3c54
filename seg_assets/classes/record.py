"""Class tables inside JSON: what a result keeps of the table that its ids belong to."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from seg_assets.classes.table import (
    ClassTable,
    SemanticClass,
    class_table_names,
    load_class_table,
)
from seg_assets.errors import InputError

TableRecord = str | Mapping[str, Any]
"""The name of a table that comes with the project; all of a table of your own."""


def table_record(table: ClassTable) -> TableRecord:
    """Return what `read_table_record` makes the table of again, on any machine.

    A table of your own is kept whole: its file may be elsewhere, changed or gone when the result
    is read.
    """
    if table.name in class_table_names() and load_class_table(table.name) == table:
        return table.name
    return {
        "name": table.name,
        "title": table.title,
        "classes": [{**asdict(item), "color": list(item.color)} for item in table.classes],
    }


def read_table_record(record: TableRecord) -> ClassTable:
    """Return the table of a record.

    Raises:
        InputError: The record names a table that is not known, or is none.
    """
    if isinstance(record, str):
        return load_class_table(record)
    try:
        classes = tuple(
            SemanticClass(item["id"], item["name"], tuple(item["color"]), item["is_thing"])
            for item in record["classes"]
        )
        return ClassTable(record["name"], record["title"], classes)
    except (KeyError, TypeError) as error:
        raise InputError(
            "the record of a class table lacks a field or holds a wrong one "
            f"({error}); make the result that holds it again"
        ) from error
