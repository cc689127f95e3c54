"""Class tables of models, by the names in their configuration."""

import colorsys
import re
from collections.abc import Mapping
from pathlib import PurePath

from seg_assets.classes.table import (
    IGNORE_NAME,
    ClassTable,
    SemanticClass,
    load_class_table,
)
from seg_assets.errors import InputError

# Tables with class maps of their own, which a published model may have.
KNOWN_TABLES = ("ade150", "cityscapes19", "coco133")

# Steps of the golden ratio never come back to an earlier hue; three shades keep neighbours apart.
_HUE_STEP = (5**0.5 - 1) / 2
_SHADES = ((0.85, 0.95), (0.55, 0.75), (0.95, 0.6))  # saturation, value


def recognised_table(id2label: Mapping[int, str], model: str) -> ClassTable:
    """The project's table where all names are its own in its order, else one of the model's own.

    Blanks round a name, capitals and all but the first of several names ("road, route") make no
    difference, as ADE20K's names are written in several ways.

    Args:
        id2label: class id -> name, ids 0, 1, 2 ... .
        model: its name, which becomes that of a table of its own.

    Raises:
        InputError: ids with gaps, or more classes than a label map can hold.
    """
    if sorted(id2label) != list(range(len(id2label))):
        raise InputError(
            f"the class ids of the model {model} are not 0, 1, 2 ...: mend id2label in its "
            "configuration"
        )
    names = [id2label[i] for i in range(len(id2label))]
    for known in map(load_class_table, KNOWN_TABLES):
        if [_plain(name) for name in names] == [_plain(name) for name in known.names]:
            return known
    return own_table(names, model)


def own_table(names: list[str], model: str) -> ClassTable:
    """A table with these names and distinct colours; names that occur twice get their id."""
    stripped = [name.strip() or f"class {i}" for i, name in enumerate(names)]
    taken = {IGNORE_NAME}
    classes = []
    for i, name in enumerate(stripped):
        unique = name if name not in taken else f"{name} ({i})"
        taken.add(unique)
        classes.append(SemanticClass(i, unique, _color(i)))
    label = re.sub(r"[^A-Za-z0-9_-]+", "_", PurePath(model).name).strip("_-") or "model"
    return ClassTable(label, f"Classes of {PurePath(model).name}", tuple(classes))


def _plain(name: str) -> str:
    return re.split("[,;]", name)[0].strip().lower()


def _color(class_id: int) -> tuple[int, int, int]:
    saturation, value = _SHADES[class_id % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(class_id * _HUE_STEP % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)
