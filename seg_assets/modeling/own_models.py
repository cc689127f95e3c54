"""Models of one's own: entries in the manifest of `SEG_MODELS_DIR`, beside the project's."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Table

from seg_assets.classes.table import ClassTable
from seg_assets.errors import InputError, StoreError
from seg_assets.modeling.manifest import (
    ModelEntry,
    entry,
    manifest,
    models_dir,
    shipped_dir,
    shipped_names,
)
from seg_assets.modeling.weights_file import sha256_of
from seg_assets.storage.files import explained
from seg_assets.storage.local_files import LocalFiles

MANIFEST, WEIGHTS = "manifest.toml", "weights"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_HEAD = "Models of your own; `seg-assets models list` shows them beside the project's."
_HASH_DIGITS = 8


def check_own_name(name: str) -> None:
    """Make sure that a model of one's own may be called `name`, before any work is done for it.

    Raises:
        InputError: The name is no name, a model that comes with the project or that the user has
            written down by hand has it, or no folder of the user's own is set.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"'{name}' is no name for a model: take letters, digits, - and _, as in my_seem"
        )
    if name in shipped_names():
        raise InputError(
            f"a model that comes with the project is called '{name}': choose another name"
        )
    folder = models_dir()
    if folder.resolve() == shipped_dir().resolve():
        raise InputError(
            f"{folder} belongs to the project, so models of your own cannot go there: "
            "set SEG_MODELS_DIR to a folder of yours"
        )
    if (found := manifest().get(name)) is not None and not _is_ours(found):
        raise InputError(
            f"{folder / MANIFEST} has a model '{name}' that no training wrote: choose another name"
        )


def add_own_model(model: ModelEntry, weights: Path, classes: ClassTable | None = None) -> None:
    """Copy weights into `SEG_MODELS_DIR` and name them in its manifest.

    A model of the same name that was added in this way is replaced. The weights' file has its hash
    in its name, so that the manifest never speaks of bytes that are not there. All other entries
    and the comments of the manifest stay as they are.

    Args:
        model: What it is; `file`, `sha256` and `bytes` are filled in here, and `classes` where a
            table is given.
        weights: A safetensors file; it may be deleted afterwards.
        classes: Its class table, where that does not come with the project.

    Raises:
        InputError: The name cannot be taken, or the manifest is damaged.
        CheckpointError: The weights cannot be read.
        StoreError: The folder cannot be written.
    """
    check_own_name(model.name)
    root = models_dir()
    files = LocalFiles(str(root))
    sha256 = sha256_of(weights)
    stem = f"{WEIGHTS}/{model.name}-{sha256[:_HASH_DIGITS]}"
    model = replace(model, file=f"{stem}.safetensors", sha256=sha256, bytes=weights.stat().st_size)
    _place(files, weights, f"{stem}.safetensors")
    if classes is not None:
        model = replace(model, classes=f"{stem}.toml")
        files.write(f"{stem}.toml", _class_file(classes).encode())
    with _alone(root / MANIFEST):
        before = manifest().get(model.name)
        document = _read(root / MANIFEST)
        document[model.name] = _table(model)
        files.write(MANIFEST, tomlkit.dumps(document).encode())
    entry(model.name)  # it can be read
    if before is not None and before.file != model.file:
        _forget_files(files, before)


def _is_ours(found: ModelEntry) -> bool:
    """Whether `add_own_model` has written this entry: its file says so."""
    digest = (found.sha256 or "")[:_HASH_DIGITS]
    return found.file == f"{WEIGHTS}/{found.name}-{digest}.safetensors"


def _place(files: LocalFiles, weights: Path, name: str) -> None:
    scratch = files.scratch_file(name)
    try:
        with explained("write", files.location(name)):
            shutil.copyfile(weights, scratch)
        files.publish(scratch, name)
    finally:
        scratch.unlink(missing_ok=True)


def _forget_files(files: LocalFiles, old: ModelEntry) -> None:
    """Remove weights and class table that an entry had before it was replaced."""
    stem = str(old.file).removesuffix(".safetensors")
    for suffix in (".safetensors", ".toml"):
        files.remove(stem + suffix)


def _read(path: Path) -> TOMLDocument:
    if path.is_file():
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEAD))
    return document


def _table(model: ModelEntry) -> Table:
    """The entry as it stands in the file: fields without a value are left out."""
    fields: dict[str, Any] = {
        "title": model.title,
        "kind": model.kind,
        "config": model.config,
        "file": model.file,
        "sha256": model.sha256,
        "bytes": model.bytes,
        "licence": model.licence,
        "input_size": model.input_size,
        "input_side": model.input_side,
        "mean": list(model.mean),
        "std": list(model.std),
        "classes": model.classes if model.kind == "seem" else None,
        "base": model.base,
        "base_sha256": model.base_sha256,
    }
    table = tomlkit.table()
    for name, value in fields.items():
        if value is not None:
            table.add(name, value)
    if model.adapters is not None:
        adapters = tomlkit.inline_table()
        adapters.update(model.adapters.model_dump(mode="json"))
        table.add("adapters", adapters)
    return table


def _class_file(table: ClassTable) -> str:
    """A class table as its TOML file, one class a line."""
    document = tomlkit.document()
    document.add("name", table.name)
    document.add("title", table.title)
    classes = tomlkit.array().multiline(True)
    for item in table.classes:
        line = tomlkit.inline_table()
        line.update({"id": item.id, "name": item.name, "color": list(item.color)})
        if item.is_thing is not None:
            line.update({"is_thing": item.is_thing})
        classes.append(line)
    document.add("classes", classes)
    return tomlkit.dumps(document)


@contextmanager
def _alone(manifest_file: Path) -> Iterator[None]:
    """Wait until no other process changes the manifest; the lock falls with the process."""
    lock = manifest_file.with_name(f".{manifest_file.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(
            f"{lock} cannot be written ({error.strerror}): "
            "set SEG_MODELS_DIR to a folder that is yours to write to"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # closing frees the lock
