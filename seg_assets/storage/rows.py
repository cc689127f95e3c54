"""Rows of one image become an Arrow table, or a sentence that says which column is wrong."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from seg_assets.errors import StoreError
from seg_assets.storage.schema import is_required


def rows_to_table(
    schema: pa.Schema, image_id: str, rows: Iterable[Mapping[str, Any]], where: str
) -> pa.Table:
    """Check rows against the schema and convert them.

    Args:
        schema: the law.
        image_id: the image that all rows belong to; rows may leave the column out.
        rows: one mapping per row; columns that are not required may be left out.
        where: asset, shard and image, for messages.

    Raises:
        StoreError: a column is unknown, missing, null or of another type.
    """
    filled = [{"image_id": image_id, **row} for row in rows]
    known, required = set(schema.names), {field.name for field in schema if is_required(field)}
    for number, row in enumerate(filled):
        if unknown := row.keys() - known:
            raise StoreError(f"row {number} of {where} has unknown columns {sorted(unknown)}")
        if missing := required - row.keys():
            raise StoreError(f"row {number} of {where} lacks columns {sorted(missing)}")
        if row["image_id"] != image_id:
            raise StoreError(f"row {number} of {where} belongs to image {row['image_id']!r}")
    columns = [_column(field, [row.get(field.name) for row in filled], where) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(field: pa.Field, values: list[Any], where: str) -> pa.Array:
    _check_structs(field.type, values, field.name, where)
    try:
        array = pa.array(values, type=field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise StoreError(
            f"column {field.name} of {where} does not hold {field.type}: {error}"
        ) from error
    if is_required(field) and array.null_count:
        raise StoreError(f"column {field.name} of {where} holds {array.null_count} nulls")
    return array


def _check_structs(kind: pa.DataType, values: Iterable[Any], name: str, where: str) -> None:
    # Arrow drops unknown keys of a struct and reads missing ones as null, both without a word.
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        values = (item for value in values if value is not None for item in value)
        kind = kind.value_type
    if not pa.types.is_struct(kind):
        return
    keys = {field.name for field in kind}
    for value in values:
        if value is not None and (not isinstance(value, Mapping) or value.keys() != keys):
            raise StoreError(f"column {name} of {where} takes mappings with keys {sorted(keys)}")
