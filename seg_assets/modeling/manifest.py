"""The checkpoints this project knows: names, where they come from, what they must look like.

Nothing here imports torch, so that listing and downloading stay quick.
"""

import os
import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, TypeAdapter, ValidationError

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.seem.adapter_config import AdapterConfig

ModelKind = Literal["sam", "seem"]

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class ModelEntry:
    """One checkpoint of the manifest.

    Attributes:
        name: Name by which users ask for it.
        title: What it is, in a few words.
        kind: Which family of networks loads it.
        config: Name of the network configuration inside that family.
        licence: SPDX identifier of the weights' licence.
        input_size: Pixels of the side that the network was made for.
        input_side: Which side of the image `input_size` speaks of; "both" where images are squeezed
            into a square.
        mean: RGB mean that is subtracted from the input, 0..255 scale. A SAM may be trained for any
            mean and deviation; a SEEM was made for one, and loading refuses others.
        std: RGB standard deviation that the input is divided by, 0..255 scale.
        url: Public address of the file; None for a model that needs no download.
        sha256: Published hash of the file, 64 hex digits; None where none is public.
        bytes: Published size of the file; None where none is public.
        seed: Seed of the random weights that stand in until `file` exists.
        file: Path below the models folder; by default `weights/` and the name in the URL.
        classes: Class table that a SEEM names things in: a name, or the path of a .toml file; in a
            manifest relative to the manifest's folder.
        base: Entry whose weights lie under this one's file, which then holds only what training
            has changed or added; None for a file that holds all weights.
        base_sha256: Hash of the base's weights in that training; None where it is not known.
        adapters: Adapters that a SEEM carries beside its own network.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    title: str
    kind: ModelKind
    config: str
    licence: str
    input_size: int
    input_side: Literal["long", "short", "both"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    seed: int | None = None
    file: str | None = None
    classes: str = "coco133"
    base: str | None = None
    base_sha256: str | None = None
    adapters: AdapterConfig | None = None


def shipped_dir() -> Path:
    """Folder of manifest, cards and demo weights: `models/` of the checkout or the wheel's copy."""
    checkout = _PACKAGE.parent / "models"
    return checkout if (checkout / "manifest.toml").is_file() else _PACKAGE / "_models"


def models_dir() -> Path:
    """Folder that downloads go to.

    `SEG_MODELS_DIR` where it is set, else `models/` of the checkout, else (installed from a wheel,
    whose folder is not ours to write to) the user's cache.
    """
    if chosen := os.environ.get("SEG_MODELS_DIR"):
        return Path(chosen).expanduser()
    shipped = shipped_dir()
    if shipped.parent != _PACKAGE:
        return shipped
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "seg_assets" / "models"


def manifest() -> dict[str, ModelEntry]:
    """All entries by name: the project's, then those of a `manifest.toml` in `SEG_MODELS_DIR`.

    The second file lets users add checkpoints of their own, or replace an entry by its name.

    Raises:
        InputError: A manifest cannot be read or has a wrong field; names the file, model and field.
    """
    entries = dict(_read_manifest(shipped_dir() / "manifest.toml"))
    own = models_dir() / "manifest.toml"
    if own.is_file():
        entries |= _read_manifest(own)
    return entries


def shipped_names() -> frozenset[str]:
    """Names of the models that come with the project."""
    return frozenset(_read_manifest(shipped_dir() / "manifest.toml"))


def entry(name: str, kind: ModelKind | None = None) -> ModelEntry:
    """The entry called `name`.

    Raises:
        InputError: There is none, or it is not of the wanted kind; lists those there are.
    """
    entries = manifest()
    found = entries.get(name)
    if found is not None and kind in (None, found.kind):
        return found
    known = ", ".join(e.name for e in entries.values() if kind in (None, e.kind))
    what = f"no model is called '{name}'" if found is None else f"'{name}' is no {kind} model"
    raise InputError(f"{what}; choose one of: {known}")


def base_of(model: ModelEntry) -> ModelEntry | None:
    """The entry whose weights lie under those of `model`, or None where its file holds all.

    Raises:
        InputError: There is no such entry of the same kind, or it is no whole network of the same
            configuration.
    """
    if model.base is None:
        return None
    base = entry(model.base, kind=model.kind)
    if base.base is not None or base.adapters is not None:
        raise InputError(
            f"the model {model.name} cannot lie on {base.name}, which is no plain network itself; "
            f"name as base the one that {base.name} came from"
        )
    if base.config != model.config:
        raise InputError(
            f"the model {model.name} has the configuration '{model.config}' and its base "
            f"{base.name} '{base.config}'; give both the same"
        )
    return base


def weights_path(entry: ModelEntry) -> Path:
    """Where the weights of `entry` are, or will be once they are downloaded."""
    if entry.file is not None:
        relative = entry.file
    elif entry.url is not None:
        relative = f"weights/{urlsplit(entry.url).path.rsplit('/', 1)[-1]}"
    else:
        relative = f"weights/{entry.name}.safetensors"
    path = models_dir() / relative
    shipped = shipped_dir() / relative
    return shipped if shipped.is_file() and not path.is_file() else path


def missing_weights(entry: ModelEntry) -> CheckpointError:
    """The error of weights that are not there: where they are looked for, and how to get them."""
    return CheckpointError(
        f"the weights of {entry.name} are not at {weights_path(entry)}: "
        + (f"run `seg-assets models download {entry.name}`" if entry.url else "put the file there")
    )


def _read_manifest(path: Path) -> dict[str, ModelEntry]:
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"the model manifest {path} cannot be read: {error.strerror}") from error
    return _parse_manifest(path, changed)


@lru_cache(maxsize=8)
def _parse_manifest(path: Path, changed: int) -> dict[str, ModelEntry]:
    """Parse once per content: `changed` is the file's time stamp and only serves as cache key."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"the model manifest {path} cannot be read: {error}") from error
    adapter = TypeAdapter(ModelEntry)
    entries = {}
    for name, fields in tables.items():
        if not isinstance(fields, dict):
            raise InputError(f"{path}: '{name}' must be a [table], one per model")
        try:
            entries[name] = adapter.validate_python({"name": name, **fields})
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{path}: model '{name}', {field}: {first['msg']}") from error
        entries[name] = _checked(entries[name], path)
    return entries


def _checked(found: ModelEntry, path: Path) -> ModelEntry:
    """Refuse what does not go together, and find the class table beside the manifest `path`."""
    where = f"{path}: model '{found.name}'"
    if found.url is None and found.seed is None and found.file is None:
        raise InputError(f"{where} needs one of url, file or seed")
    if found.base is not None and found.seed is not None:
        raise InputError(f"{where} has a base, under which no seed can stand in: remove one")
    if found.base is None and found.base_sha256 is not None:
        raise InputError(f"{where} has a base_sha256 and no base: name the base")
    if found.adapters is not None and found.kind != "seem":
        raise InputError(f"{where} has adapters, which only a seem model can carry")
    if found.classes.endswith(".toml"):
        return replace(found, classes=str(path.parent / found.classes))
    return found
