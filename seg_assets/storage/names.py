"""Names of assets, shards and files, checked before they become paths."""

import re

import pyarrow as pa

from seg_assets.errors import InputError
from seg_assets.storage.schema import SCHEMAS

MANIFEST = "_manifest.json"
# Unfinished work lies outside the assets' folders, where no reader of an asset looks.
PENDING = ".pending"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def check_name(name: str, kind: str) -> str:
    """Return the name if it may become one component of a path.

    Args:
        name: the candidate.
        kind: what it names, for the message ("shard", "asset").

    Raises:
        InputError: it is empty, too long, or holds other signs than letters, digits, `.`, `_`, `-`.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{kind} name {name!r} cannot be used: start with a letter or digit and go on with "
            f"at most 199 letters, digits, '.', '_' or '-'"
        )
    return name


def check_relative_path(path: str) -> str:
    """Return the path if each of its components passes `check_name`.

    Raises:
        InputError: the path is absolute, leaves the store or holds other signs.
    """
    for component in path.split("/"):
        check_name(component, f"store path {path!r}: component")
    return path


def schema_of(asset: str) -> pa.Schema:
    """Return the schema of an asset.

    Raises:
        InputError: no asset has this name.
    """
    if asset not in SCHEMAS:
        raise InputError(f"unknown asset {asset!r}: choose one of {', '.join(SCHEMAS)}")
    return SCHEMAS[asset]


def part_name(index: int, fingerprint: str) -> str:
    """Return the file name of a part; the fingerprint keeps generations of a shard apart."""
    return f"part-{index:05d}-{fingerprint[:12]}.parquet"


def pending_folder(asset: str, shard: str) -> str:
    """Return the folder of a shard's unfinished work."""
    return f"{PENDING}/{asset}/{shard}"


def lock_path(asset: str, shard: str) -> str:
    """Return the file that the writer of a shard locks."""
    return f"{PENDING}/{asset}/{shard}.lock"
