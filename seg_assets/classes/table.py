"""Class tables: which id has which name and colour."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from seg_assets.classes.toml_file import read_toml_file
from seg_assets.errors import InputError, UnknownClassError

IGNORE_ID = 255
"""Pixel value without a label, in every label map and for every table."""

IGNORE_NAME = "ignore"
"""Stands for "no label" where files speak of classes by name; no class may have this name."""

TABLES_FOLDER = Path(__file__).parent / "tables"


@dataclass(frozen=True)
class SemanticClass:
    """One class: its id in label maps, name, colour (RGB, 0..255), and thing or stuff if known."""

    id: int
    name: str
    color: tuple[int, int, int]
    is_thing: bool | None = None


@dataclass(frozen=True)
class ClassTable:
    """The classes that a label map may hold; ids are 0, 1, 2 ... in order, 255 is no label."""

    name: str
    title: str
    classes: tuple[SemanticClass, ...]

    ignore_id: ClassVar[int] = IGNORE_ID

    def __post_init__(self) -> None:
        """Check that ids are the positions, names are unique, and 255 stays free."""
        where = f"class table {self.name!r}"
        if not 0 < len(self.classes) <= IGNORE_ID:
            raise InputError(f"{where} has {len(self.classes)} classes; give between 1 and 255")
        for position, item in enumerate(self.classes):
            if item.id != position:
                raise InputError(
                    f"{where}: class {item.name!r} has id {item.id} at position {position}; "
                    f"number the classes 0, 1, 2 ... in order"
                )
            if not item.name.strip() or item.name == IGNORE_NAME:
                raise InputError(f"{where}: {item.name!r} cannot be a class name; choose another")
            if len(item.color) != 3 or not all(0 <= value <= 255 for value in item.color):
                raise InputError(
                    f"{where}: class {item.name!r} needs a colour of three 0..255 values"
                )
        if len(self._ids) != len(self.classes):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise InputError(f"{where} has the name {twice[0]!r} twice; names must be unique")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, by id."""
        return tuple(item.name for item in self.classes)

    @property
    def things(self) -> frozenset[int]:
        """The ids of the classes that are known to be countable."""
        return frozenset(item.id for item in self.classes if item.is_thing)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {item.name: item.id for item in self.classes}

    def id_of(self, name: str) -> int:
        """Return the id of the class called ``name``.

        Raises:
            UnknownClassError: No class has this name; the message offers the nearest ones.
        """
        if name not in self._ids:
            near = get_close_matches(name, self.names, n=3)
            hint = f"did you mean {', '.join(map(repr, near))}?" if near else "see docs/classes.md"
            raise UnknownClassError(f"class table {self.name!r} has no class {name!r}; {hint}")
        return self._ids[name]

    def name_of(self, class_id: int) -> str:
        """Return the name of the class with this id; 255 is "ignore".

        Raises:
            UnknownClassError: The id is not in the table.
        """
        if class_id == IGNORE_ID:
            return IGNORE_NAME
        if not 0 <= class_id < len(self.classes):
            raise UnknownClassError(f"class id {class_id} is {self._outside()}")
        return self.classes[class_id].name

    def palette(self) -> np.ndarray:
        """Return the colours as (256, 3) uint8 RGB by id; 255 and unused ids are black."""
        colors = np.zeros((256, 3), np.uint8)
        colors[: len(self.classes)] = [item.color for item in self.classes]
        return colors

    def check(self, label_map: np.ndarray, where: str = "") -> None:
        """Check that ``label_map`` is a label map of this table.

        Args:
            label_map: (H, W) integers: class ids, 255 where there is no label.
            where: What the map is (a file, an image id), for the error message.

        Raises:
            InputError: Not a 2-D array of integers.
            UnknownClassError: Ids that are not in the table; the message names them.
        """
        subject = where or "a label map"
        if label_map.ndim != 2 or label_map.dtype.kind not in "ui":
            raise InputError(
                f"{subject} has shape {label_map.shape} and type {label_map.dtype}; "
                f"a label map is one (height, width) plane of integer class ids"
            )
        known = (label_map < len(self.classes)) | (label_map == IGNORE_ID)
        if label_map.dtype.kind == "i":
            known &= label_map >= 0
        if not known.all():
            unknown = np.unique(label_map[~known])
            listed = ", ".join(str(value) for value in unknown[:10])
            if unknown.size > 10:
                listed += f" and {unknown.size - 10} more"
            noun = "class id" if unknown.size == 1 else "class ids"
            raise UnknownClassError(
                f"{subject} holds {noun} {listed}, {self._outside()}; "
                f"name the class table that the map was written with"
            )

    def _outside(self) -> str:
        return (
            f"outside class table {self.name!r}, "
            f"which has 0..{len(self.classes) - 1} and {IGNORE_ID} for no label"
        )


Channel = Annotated[int, Field(ge=0, le=255, strict=True)]


class _ClassEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[int, Field(strict=True)]
    name: str
    color: tuple[Channel, Channel, Channel]
    is_thing: bool | None = None


class _TableFile(BaseModel):
    """A table's TOML file: its name, a title, and one entry per class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    title: str
    classes: list[_ClassEntry]


def class_table_names() -> tuple[str, ...]:
    """Return the names of the class tables that come with the project, sorted."""
    return tuple(sorted(path.stem for path in TABLES_FOLDER.glob("*.toml")))


def load_class_table(table: str | Path | ClassTable) -> ClassTable:
    """Load a class table by its name, or one of your own from a .toml file.

    Args:
        table: "coco133", "ade150", "cityscapes19", "camvid11", "voc21", "base28", "merged19", or
            the path of a .toml file. A table that is loaded already is given back.

    Returns:
        The table; every call with the same name returns the same one.

    Raises:
        InputError: No such table, or a faulty file.
    """
    if isinstance(table, ClassTable):
        return table
    if str(table).endswith(".toml"):
        return _read_class_table(Path(table))
    return _load_bundled_table(str(table))


@cache
def _load_bundled_table(name: str) -> ClassTable:
    if name not in class_table_names():
        raise InputError(
            f"there is no class table {name!r}; choose from {', '.join(class_table_names())} "
            f"or give the path of a .toml file"
        )
    return _read_class_table(TABLES_FOLDER / f"{name}.toml")


def _read_class_table(path: Path) -> ClassTable:
    content = read_toml_file(path, _TableFile)
    classes = tuple(
        SemanticClass(item.id, item.name, item.color, item.is_thing) for item in content.classes
    )
    return ClassTable(content.name, content.title, classes)
