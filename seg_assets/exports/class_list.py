"""The classes of an export as JSON and CSV: id, name, colour, thing or stuff."""

import csv
import io
import json

from seg_assets.classes.table import IGNORE_ID, ClassTable


def class_list_json(table: ClassTable) -> bytes:
    """The classes as {name, title, ignore_id, classes: [{id, name, color, is_thing}]}.

    Colours are RGB, 0..255; `is_thing` is null where the table does not say.
    """
    content = {
        "name": table.name,
        "title": table.title,
        "ignore_id": IGNORE_ID,
        "classes": [
            {
                "id": item.id,
                "name": item.name,
                "color": list(item.color),
                "is_thing": item.is_thing,
            }
            for item in table.classes
        ],
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def class_list_csv(table: ClassTable) -> bytes:
    """The classes as a table: id, name, red, green, blue."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "name", "red", "green", "blue"))
    writer.writerows((item.id, item.name, *item.color) for item in table.classes)
    return text.getvalue().encode()
