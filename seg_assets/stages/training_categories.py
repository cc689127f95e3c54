"""training_categories: the table that all training data of a store share."""

import json

from pydantic import BaseModel, ConfigDict, Field

from seg_assets.classes.table import load_class_table
from seg_assets.data.files import read_bytes
from seg_assets.data.label_maps import label_table
from seg_assets.data.panoptic.categories import CategoryTable, read_categories
from seg_assets.data.shards import list_shards, load_shard
from seg_assets.errors import ImageError, InputError, StoreError
from seg_assets.storage.store import Store

CATEGORIES_PATH = "training_categories/categories.json"


class CategoryParams(BaseModel):
    """Which categories are trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: str = Field(
        default="",
        description=(
            "A class table (its name or a .toml), or a .json list of {id, name, color, isthing} in "
            "training order. Empty: the classes of the shards' label files."
        ),
    )
    things: list[str] = Field(
        default=[],
        description=(
            "Names of the classes whose objects are told apart. Empty: what the class table says."
        ),
    )


def write_categories(store: Store, params: CategoryParams) -> CategoryTable:
    """Write the category table of all training data of the store.

    Args:
        store: where the shards are registered.
        params: which categories.

    Raises:
        InputError: no such table, an unknown name, or the shards' label files disagree.
    """
    if not params.classes:
        params = params.model_copy(update={"classes": _label_classes(store)})
    table = named_categories(params)
    text = json.dumps({"categories": table.to_json()}, indent=1, ensure_ascii=False)
    store.write_bytes(CATEGORIES_PATH, text.encode())
    return table


def named_categories(params: CategoryParams) -> CategoryTable:
    """The categories of the class table or list that `params.classes` names.

    Raises:
        InputError: there is no such table, or an unknown name among the things.
    """
    if params.classes.endswith(".json"):
        if params.things:
            raise InputError(
                f"{params.classes} says what is a thing already: leave out the list of things"
            )
        return read_categories(read_named_file(params.classes), params.classes)
    return CategoryTable.from_class_table(load_class_table(params.classes), params.things or None)


def load_categories(store: Store) -> CategoryTable:
    """Read the category table of the store's training data.

    Raises:
        StoreError: it was not written yet, or is damaged.
    """
    where = store.location(CATEGORIES_PATH)
    try:
        return read_categories(store.read_bytes(CATEGORIES_PATH), where)
    except FileNotFoundError as error:
        raise StoreError(
            f"there is no category table {where}: run `dagster asset materialize -m "
            "seg_assets.definitions --select training_categories`"
        ) from error
    except InputError as error:
        raise StoreError(f"{error}; materialise training_categories again") from error


def read_named_file(path: str) -> bytes:
    """Read a file that a user has named in the run config.

    Raises:
        InputError: it is not there or may not be read.
        StoreError: the storage does not answer.
    """
    try:
        return read_bytes(path)
    except ImageError as error:
        raise InputError(f"the file {path} cannot be read: give one that exists") from error


def _label_classes(store: Store) -> str:
    formats = {load_shard(store, name).label_format for name in list_shards(store)} - {None}
    tables = sorted({label_table(found) for found in formats if found is not None})
    if len(tables) != 1:
        found = f"of the class tables {' and '.join(tables)}" if tables else "without labels"
        raise InputError(
            f"the shards of {store.location()} are {found}: name the categories with `classes`"
        )
    return tables[0]
