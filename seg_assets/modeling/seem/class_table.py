"""Class names to the table of text embeddings that class logits are measured against."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seg_assets.classes.table import load_class_table
from seg_assets.errors import InputError
from seg_assets.modeling.checkpoints import LoadedModel
from seg_assets.modeling.manifest import weights_path
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.tokenizer import tokenize

_log = logging.getLogger(__name__)

NO_OBJECT = "background"  # the last row; a query that is nothing points there
SUFFIXES = ("-other", "-merged", "-stuff")  # of COCO's names; nobody writes them in a caption
CLASSES_AT_ONCE = 4
REPORT_SECONDS = 10.0
_KEY = "text_table"
_FORMAT = 1  # of the cached file; raise it when the table is computed differently


@cache
def prompt_templates() -> tuple[str, ...]:
    """81 sentences with a place "{}" for a name: the name alone, then CLIP's 80 for ImageNet."""
    # open_clip's package imports torchvision, which needs its repair on CPU-only installations
    import seg_assets.modeling.torchvision_cpu  # noqa: F401, PLC0415

    # isort: split
    from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES  # noqa: PLC0415

    return ("{}.", *(fill("{}") for fill in OPENAI_IMAGENET_TEMPLATES))


def clean_name(name: str) -> str:
    """A class name as one would say it: "wall-other-merged" -> "wall"."""
    for suffix in SUFFIXES:
        name = name.replace(suffix, "")
    return name


def coco_names() -> tuple[str, ...]:
    """The 133 names of COCO panoptic, which the official checkpoints were trained with."""
    return load_class_table("coco133").names


def build_text_table(
    model: Seem, names: Sequence[str] | None = None, templates: Sequence[str] | None = None
) -> Tensor:
    """Embed every name in every template; one unit vector per name.

    Takes minutes for Focal-L on one CPU core; `load_text_table` keeps the result.

    Args:
        model: whose text encoder is asked.
        names: class names without the "no object" class, or None for COCO's 133.
        templates: sentences with "{}" in the place of the name, or None for the usual 81.

    Returns:
        (names + 1, hidden) float32 on the model's device; the last row is "no object".

    Raises:
        InputError: a name is empty.
    """
    rows = [clean_name(name) for name in (*(names or coco_names()), NO_OBJECT)]
    if not all(name.strip() for name in rows):
        raise InputError("A class name for SEEM's text table is empty; give it a word.")
    sentences = templates or prompt_templates()
    texts = [sentence.replace("{}", name) for name in rows for sentence in sentences]
    context = model.config.text_context
    ids = tokenize(texts, context=context).ids.unflatten(0, (len(rows), len(sentences)))
    parts = []
    begun = reported = time.monotonic()
    with torch.no_grad():
        for chunk in ids.split(CLASSES_AT_ONCE):
            parts.append(model.language.class_table(chunk.to(model.device)))
            now = time.monotonic()
            if now - reported > REPORT_SECONDS:
                reported = now
                done = sum(len(part) for part in parts)
                left = (now - begun) / done * (len(rows) - done)
                _log.info("embedded %d of %d class names, %.0f s left", done, len(rows), left)
    return torch.cat(parts).float()


def load_text_table(loaded: LoadedModel[Seem], names: Sequence[str] | None = None) -> Tensor:
    """The text table of a checkpoint, computed once and then kept in a file beside the weights.

    The file is keyed by the hashes of weights, names and templates, so that a changed checkpoint
    has a table of its own. A damaged file is made anew. Where the folder cannot be written, and
    for seeded weights that have no file, the table is computed each time.

    Args:
        loaded: the model, and the hash of its weights.
        names: class names without the "no object" class, or None for those of the class table
            that the model's entry names.

    Returns:
        (names + 1, hidden) float32 on the model's device.

    Raises:
        InputError: the model's class table cannot be read.
    """
    names = tuple(names or load_class_table(loaded.entry.classes).names)
    if not loaded.trained:
        return build_text_table(loaded.model, names)
    weights = weights_path(loaded.entry)
    key = _key(loaded.sha256, names, prompt_templates())
    path = weights.with_name(f"{weights.stem}.text-{key[:12]}.safetensors")
    shape = (len(names) + 1, loaded.model.config.hidden)
    table = _read(path, key, shape)
    if table is None:
        table = build_text_table(loaded.model, names)
        _write(path, key, table)
    return table.to(loaded.model.device)


def _key(sha256: str, names: Sequence[str], templates: Sequence[str]) -> str:
    content = json.dumps([_FORMAT, sha256, list(names), list(templates)])
    return hashlib.sha256(content.encode()).hexdigest()


def _label(key: str, table: Tensor) -> dict[str, str]:
    # one entry: safetensors writes several in any order, and the bytes should be the same each time
    return {_KEY: f"{key} {hashlib.sha256(table.numpy().tobytes()).hexdigest()}"}


def _read(path: Path, key: str, shape: tuple[int, int]) -> Tensor | None:
    """The cached table, or None if there is none or it is not what was written."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
            table = file.get_tensor(_KEY)
    except (SafetensorError, OSError) as error:
        _log.warning("the text table %s is damaged (%s) and is made anew", path, error)
        return None
    if found != _label(key, table) or tuple(table.shape) != shape:
        _log.warning("the text table %s is stale or damaged and is made anew", path)
        return None
    return table


def _write(path: Path, key: str, table: Tensor) -> None:
    """Keep the table, as a whole or not at all; failing to is no reason to stop."""
    table = table.cpu()
    content = save({_KEY: table}, metadata=_label(key, table))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        _log.info("the text table cannot be kept at %s (%s)", path, error)
        temporary.unlink(missing_ok=True)
