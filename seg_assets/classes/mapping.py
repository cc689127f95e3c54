"""Class maps: which class of one table becomes which class of another."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from pydantic import BaseModel, ConfigDict

from seg_assets.classes.table import (
    IGNORE_ID,
    IGNORE_NAME,
    TABLES_FOLDER,
    ClassTable,
    SemanticClass,
    load_class_table,
)
from seg_assets.classes.toml_file import read_toml_file
from seg_assets.errors import InputError

MAPS_FOLDER = Path(__file__).parent / "maps"

# Two tables without a map of their own meet through this one.
BRIDGE = "base28"

PAVEMENT_TO_SIDEWALK = "pavement_to_sidewalk"


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Turns label maps of ``source`` into label maps of ``target`` by one table lookup.

    Attributes:
        source: The table of the maps that go in.
        target: The table of the maps that come out.
        lut: (256,) uint8, read-only: the target id for each source id. Source classes without a
            counterpart, and 255, give 255.
    """

    source: ClassTable
    target: ClassTable
    lut: np.ndarray

    def __post_init__(self) -> None:
        """Check the lookup table and take a read-only copy of it."""
        if self.lut.shape != (256,) or self.lut.dtype != np.uint8:
            raise InputError(
                f"the lookup table from {self.source.name!r} to {self.target.name!r} has shape "
                f"{self.lut.shape} and type {self.lut.dtype}; give 256 values of uint8"
            )
        if not (self.lut[len(self.source) :] == IGNORE_ID).all():
            raise InputError(
                f"the lookup table from {self.source.name!r} to {self.target.name!r} must send "
                f"the ids from {len(self.source)} on to {IGNORE_ID}"
            )
        self.target.check(self.lut[None], f"the lookup table from {self.source.name!r}")
        lut = self.lut.copy()
        lut.flags.writeable = False
        object.__setattr__(self, "lut", lut)

    @classmethod
    def identity(cls, table: ClassTable) -> "ClassMap":
        """Return the map that changes nothing."""
        return cls.from_names(table, table, {name: name for name in table.names})

    @classmethod
    def from_names(
        cls, source: ClassTable, target: ClassTable, pairs: Mapping[str, str]
    ) -> "ClassMap":
        """Build a map from source name -> target name; source classes not named give 255.

        Raises:
            UnknownClassError: A name that is not in its table.
        """
        lut = np.full(256, IGNORE_ID, np.uint8)
        for source_name, target_name in pairs.items():
            lut[source.id_of(source_name)] = target.id_of(target_name)
        return cls(source, target, lut)

    def apply(self, label_map: np.ndarray, where: str = "") -> np.ndarray:
        """Translate a label map.

        Args:
            label_map: (H, W) integers, ids of ``source``, 255 where there is no label.
            where: What the map is (a file, an image id), for the error message.

        Returns:
            (H, W) uint8, ids of ``target``, 255 where there is no label or no counterpart.

        Raises:
            InputError: Not a 2-D array of integers.
            UnknownClassError: Ids that are not in ``source``; the message names them.
        """
        self.source.check(label_map, where)
        return self.lut[label_map]

    def then(self, other: "ClassMap") -> "ClassMap":
        """Return the map that does this one first and ``other`` after it.

        Raises:
            InputError: ``other`` does not start from the table in which this map ends.
        """
        if self.target != other.source:
            raise InputError(
                f"a class map to {self.target.name!r} cannot be followed by one from "
                f"{other.source.name!r}; join maps that share the table between them"
            )
        return ClassMap(self.source, other.target, other.lut[self.lut])

    @property
    def digest(self) -> str:
        """SHA-256 of both tables and the lookup: another one for maps that give other results."""
        content = [asdict(self.source), asdict(self.target), self.lut.tolist()]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def unreachable(self) -> tuple[SemanticClass, ...]:
        """Return the target classes that no source class becomes."""
        reached = set(self.lut.tolist())
        return tuple(item for item in self.target.classes if item.id not in reached)

    def dropped(self) -> tuple[SemanticClass, ...]:
        """Return the source classes without a counterpart, which become 255."""
        return tuple(item for item in self.source.classes if self.lut[item.id] == IGNORE_ID)


class _MapFile(BaseModel):
    """A map's TOML file: for each target class the source classes that become it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    target: str
    unlisted: str | None = None
    classes: dict[str, list[str]]
    options: dict[str, dict[str, list[str]]] = {}


def load_class_map(
    source: str | Path | ClassTable,
    target: str | Path | ClassTable,
    *,
    pavement_to_sidewalk: bool = False,
    folders: Iterable[Path] = (),
) -> ClassMap:
    """Load the map between two tables: the one written for them, or two joined in base28.

    Maps are files called ``<source>_to_<target>.toml``. They come with the project, or lie in the
    folder of your own table when ``source`` or ``target`` is a .toml path, or in ``folders``.

    Args:
        source: The table of the maps that go in: its name, its .toml path, or itself.
        target: The table of the maps that come out, likewise. The same table twice gives the
            identity.
        pavement_to_sidewalk: Send COCO's pavement to base28's sidewalk, which no COCO class
            reaches otherwise, instead of to road. Changes nothing for maps from other tables,
            whose sidewalks are sidewalks already.
        folders: Where maps of your own may lie besides.

    Returns:
        The map.

    Raises:
        InputError: No such table, or no map between the two.
        UnknownClassError: A map file names a class that is not in its table.
    """
    found = find_class_map(
        source, target, pavement_to_sidewalk=pavement_to_sidewalk, folders=folders
    )
    if found is None:
        names = load_class_table(source).name, load_class_table(target).name
        if names[0] == names[1]:
            raise InputError(
                f"there are two class tables called {names[0]!r} which are not alike, as after one "
                f"was edited; make the older results again, or give one another name"
            )
        raise InputError(
            f"there is no class map from {names[0]!r} to {names[1]!r}; write "
            f"{names[0]}_to_{names[1]}.toml beside a table of your own, as docs/classes.md shows"
        )
    return found


def find_class_map(
    source: str | Path | ClassTable,
    target: str | Path | ClassTable,
    *,
    pavement_to_sidewalk: bool = False,
    folders: Iterable[Path] = (),
) -> ClassMap | None:
    """Do as ``load_class_map``, but give None where there is no map between the two tables.

    Raises:
        InputError: No such table, or a map file that is faulty or written for other tables.
    """
    tables = load_class_table(source), load_class_table(target)
    if tables[0] == tables[1]:
        return ClassMap.identity(tables[0])
    places = (MAPS_FOLDER, *own_folder(source), *own_folder(target), *folders)
    option = PAVEMENT_TO_SIDEWALK if pavement_to_sidewalk else None
    own = {table.name: table for table in tables}
    found = _find_map(tables[0].name, tables[1].name, places, option, own)
    if found is None:
        to_bridge = _find_map(tables[0].name, BRIDGE, places, option, own)
        from_bridge = _find_map(BRIDGE, tables[1].name, places, option, own)
        if to_bridge is None or from_bridge is None:
            return None
        found = to_bridge.then(from_bridge)
    if (found.source, found.target) != tables:
        raise InputError(
            f"the class map from {tables[0].name!r} to {tables[1].name!r} was written for other "
            f"tables of the same names; give your table a name of its own"
        )
    return found


def own_folder(table: str | Path | ClassTable) -> tuple[Path, ...]:
    """Return the folder of a table that is given by its .toml path; () for all others."""
    if isinstance(table, ClassTable) or not str(table).endswith(".toml"):
        return ()
    return (Path(table).parent,)


def bundled_class_maps() -> tuple[tuple[str, str], ...]:
    """Return (source, target) of the map files that come with the project, sorted."""
    stems = (path.stem.split("_to_") for path in MAPS_FOLDER.glob("*.toml"))
    return tuple(sorted((source, target) for source, target in stems))


def read_class_map(path: str | Path) -> ClassMap:
    """Read a class map of your own from a .toml file.

    Args:
        path: The file. Its ``source`` and ``target`` are table names, or .toml paths relative to
            the file's folder.

    Returns:
        The map.

    Raises:
        InputError: A faulty file; a source class that is listed twice or not at all.
        UnknownClassError: A name that is not in its table.
    """
    return _read_map_file(Path(path), None)


def _find_map(
    source: str,
    target: str,
    folders: Iterable[Path],
    option: str | None,
    own: Mapping[str, ClassTable],
) -> ClassMap | None:
    for folder in folders:
        path = folder / f"{source}_to_{target}.toml"
        if path.is_file():
            return _read_map_file(path, option, own)
    return None


def _read_map_file(
    path: Path, option: str | None, own: Mapping[str, ClassTable] = MappingProxyType({})
) -> ClassMap:
    """Read a map; its tables are the project's, .toml files beside it, or those of `own`."""
    content = read_toml_file(path, _MapFile)
    source, target = (_table(path, name, own) for name in (content.source, content.target))
    try:
        pairs = _invert(content.classes.items())
        pairs |= _invert(content.options.get(option, {}).items() if option else ())
        for name in pairs:
            source.id_of(name)
        missing = [name for name in source.names if name not in pairs]
        if missing and content.unlisted is None:
            raise InputError(
                f"{len(missing)} classes of {source.name!r} are not listed, {missing[0]!r} first; "
                f"list each under the class it becomes or under {IGNORE_NAME!r}, "
                f"or set unlisted = {IGNORE_NAME!r}"
            )
        pairs |= {name: content.unlisted or IGNORE_NAME for name in missing}
        kept = {name: becomes for name, becomes in pairs.items() if becomes != IGNORE_NAME}
        return ClassMap.from_names(source, target, kept)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def _invert(lists: Iterable[tuple[str, list[str]]]) -> dict[str, str]:
    """Turn target -> list of sources into source -> target; a source may appear once."""
    pairs: dict[str, str] = {}
    for target_name, source_names in lists:
        for name in source_names:
            if name in pairs:
                raise InputError(
                    f"class {name!r} is listed under {pairs[name]!r} and under {target_name!r}; "
                    f"list it once"
                )
            pairs[name] = target_name
    return pairs


def _table(path: Path, name: str, own: Mapping[str, ClassTable]) -> ClassTable:
    if name.endswith(".toml"):
        return load_class_table(path.parent / name)
    # a table without a file, as that of a model's configuration, is known to who asks for the map
    if name in own and not (TABLES_FOLDER / f"{name}.toml").is_file():
        return own[name]
    return load_class_table(name)
