"""Category tables of training data: id, name, colour, thing or stuff, in training order."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.data.panoptic.base_colors import BLACK, WHITE, free_color
from seg_assets.data.panoptic.faults import first_fault
from seg_assets.errors import InputError, UnknownClassError

VOID_ID = 0
"""Segment id of pixels that belong to no segment: black."""

BACKGROUND = "background"
"""The network adds a class of this name, "no object", behind the categories; none may have it."""

MAX_CATEGORIES = 255  # training ids are bytes, and 255 is no label

_GREY = (128, 128, 128)


@dataclass(frozen=True)
class Category:
    """One category.

    Attributes:
        id: number in the JSON files, at least 1; any gaps are allowed.
        name: as it is shown; text prompts are made from it.
        color: RGB, 0..255; the first segment of the category has it in panoptic PNGs.
        is_thing: whether single objects are told apart (cars) or not (sky).
        supercategory: COCO's group name; None where there is none.
    """

    id: int
    name: str
    color: tuple[int, int, int]
    is_thing: bool
    supercategory: str | None = None


@dataclass(frozen=True)
class CategoryTable:
    """The categories in training order: the position in the table is the training id, from 0."""

    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        """Check what files and network rely on.

        Raises:
            InputError: an id below 1 or twice, a name twice or reserved, a colour that is none, too
                many categories or none.
        """
        if not 0 < len(self.categories) <= MAX_CATEGORIES:
            raise InputError(
                f"a category table has {len(self.categories)} categories; give between 1 and "
                f"{MAX_CATEGORIES}"
            )
        ids: dict[int, str] = {}
        names: dict[str, int] = {}
        for item in self.categories:
            if item.id < 1:
                raise InputError(
                    f"category {item.name!r} has the id {item.id}; ids start at 1, 0 is no label"
                )
            if not item.name.strip() or item.name == BACKGROUND:
                raise InputError(
                    f"category {item.id} cannot have the name {item.name!r}; choose another "
                    f"({BACKGROUND!r} is the network's own class for no object)"
                )
            if len(item.color) != 3 or not all(0 <= value <= 255 for value in item.color):
                raise InputError(
                    f"category {item.name!r} has the colour {list(item.color)}; give three 0..255 "
                    "values"
                )
            if item.id in ids:
                raise InputError(
                    f"categories {ids[item.id]!r} and {item.name!r} both have the id {item.id}; "
                    "give each an id of its own"
                )
            if item.name in names:
                raise InputError(f"two categories are named {item.name!r}; names must be unique")
            ids[item.id], names[item.name] = item.name, item.id

    def check_colors(self) -> None:
        """Check that every category can be painted: training data are only made with such tables.

        COCO's own table has white snow; its data can be read, as its segments have other colours.

        Raises:
            InputError: a colour twice, black (no segment) or white (padding).
        """
        seen: dict[tuple[int, int, int], str] = {}
        for item in self.categories:
            if item.color in (BLACK, WHITE):
                raise InputError(
                    f"category {item.name!r} has the colour {list(item.color)}; black is no "
                    "segment and white is padding, choose another"
                )
            if item.color in seen:
                raise InputError(
                    f"categories {seen[item.color]!r} and {item.name!r} both have the colour "
                    f"{list(item.color)}; give each a colour of its own"
                )
            seen[item.color] = item.name

    def __len__(self) -> int:
        return len(self.categories)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, by training id."""
        return tuple(item.name for item in self.categories)

    @cached_property
    def _positions(self) -> dict[int, int]:
        return {item.id: position for position, item in enumerate(self.categories)}

    def __contains__(self, category_id: int) -> bool:
        return category_id in self._positions

    def train_id(self, category_id: int) -> int:
        """Return the training id, 0..N-1, of the category with this id.

        Raises:
            UnknownClassError: the table has no such id.
        """
        if category_id not in self._positions:
            raise UnknownClassError(
                f"category id {category_id} is not in the category table, which has "
                f"{_some(sorted(self._positions))}; use the table that the data was made with"
            )
        return self._positions[category_id]

    def by_id(self, category_id: int) -> Category:
        """Return the category with this id.

        Raises:
            UnknownClassError: the table has no such id.
        """
        return self.categories[self.train_id(category_id)]

    def to_json(self) -> list[dict[str, Any]]:
        """Return COCO's list of categories, in training order."""
        entries = []
        for item in self.categories:
            entry = {
                "id": item.id,
                "name": item.name,
                "isthing": int(item.is_thing),
                "color": list(item.color),
            }
            if item.supercategory is not None:
                entry["supercategory"] = item.supercategory
            entries.append(entry)
        return entries

    @property
    def digest(self) -> str:
        """SHA-256 of the table."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_json(cls, entries: object, where: str = "the category table") -> "CategoryTable":
        """Take over COCO's list of categories, {id, name, isthing, color?, supercategory?} each.

        A category without a colour gets a grey that no other has.

        Args:
            entries: the parsed JSON.
            where: the file, for messages.

        Raises:
            InputError: not such a list, or a table that cannot be used.
        """
        try:
            found = _ENTRIES.validate_python(entries)
        except ValidationError as error:
            raise InputError(
                f"{where} holds no list of categories: {first_fault(error)}; give id, name, color "
                "and isthing of each"
            ) from error
        taken = {item.color for item in found if item.color} | {BLACK, WHITE}
        categories = []
        for item in found:
            color = free_color(_GREY, taken) if item.color is None else item.color
            taken.add(color)
            categories.append(
                Category(item.id, item.name, color, bool(item.isthing), item.supercategory)
            )
        return cls(tuple(categories))

    @classmethod
    def from_class_table(
        cls, table: ClassTable, things: Collection[str] | None = None
    ) -> "CategoryTable":
        """Make categories of classes: id = class id + 1, so that training id = class id.

        A class whose colour is black, white or another class's gets the nearest free one.

        Args:
            table: the classes.
            things: names of the classes whose objects are told apart; None for what the table
                says, where a class of which it says nothing is stuff.

        Raises:
            UnknownClassError: a name in `things` is not in the table.
        """
        for name in things or ():
            table.id_of(name)
        chosen = (
            {item.name for item in table.classes if item.is_thing} if things is None else {*things}
        )
        taken = {item.color for item in table.classes} | {BLACK, WHITE}
        used: set[tuple[int, int, int]] = {BLACK, WHITE}
        categories = []
        for item in table.classes:
            color = item.color if item.color not in used else free_color(item.color, taken)
            used.add(color)
            taken.add(color)
            categories.append(Category(item.id + 1, item.name, color, item.name in chosen))
        return cls(tuple(categories))

    def to_class_table(self, name: str, title: str = "") -> ClassTable:
        """Make classes of the categories: class id = training id.

        Args:
            name: name of the class table.
            title: one line about it.
        """
        return ClassTable(
            name,
            title or name,
            tuple(
                SemanticClass(position, item.name, item.color, item.is_thing)
                for position, item in enumerate(self.categories)
            ),
        )


_Channel = Annotated[int, Field(ge=0, le=255)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: int
    name: str
    color: tuple[_Channel, _Channel, _Channel] | None = None
    isthing: Annotated[int, Field(ge=0, le=1)]
    supercategory: str | None = None


_ENTRIES = TypeAdapter(list[_Entry])


def _some(ids: Sequence[int]) -> str:
    more = f" and {len(ids) - 10} more" if len(ids) > 10 else ""
    return ", ".join(map(str, ids[:10])) + more


def read_categories(data: bytes, where: str) -> CategoryTable:
    """Read a category table to make data with: COCO's list, or a file with it as "categories".

    Raises:
        InputError: not such a file, or a table that cannot be used.
    """
    try:
        content = json.loads(data)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error}): give a list of categories") from error
    if isinstance(content, Mapping) and "categories" in content:
        content = content["categories"]
    table = CategoryTable.from_json(content, where)
    table.check_colors()
    return table
