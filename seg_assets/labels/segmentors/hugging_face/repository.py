"""Where a model of Hugging Face comes from: a folder, or a repository of the hub at one commit.

A name is resolved to a commit once, and all files are read at that commit. Code from a repository
is never run. transformers is an optional extra and imported only when a model is asked for.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg_assets.classes.table import ClassTable
from seg_assets.errors import InputError
from seg_assets.labels.segmentors.hugging_face.class_names import recognised_table
from seg_assets.modeling.weights_file import sha256_of

CONFIG = "config.json"

# Files that decide what a model answers: weights, configurations, vocabularies.
_DECIDING = (".safetensors", ".bin", ".json", ".txt", ".model")


@dataclass(frozen=True)
class Repository:
    """A model's files.

    Attributes:
        name: the folder, or the repository's id on the hub.
        commit: of the repository; None for a folder.
    """

    name: str
    commit: str | None

    def identity(self) -> str:
        """The repository and its commit, or the SHA-256 of the folder's files."""
        if self.commit is not None:
            return f"{self.name}@{self.commit}"
        digest = hashlib.sha256()
        for path in sorted(Path(self.name).iterdir()):
            if path.suffix in _DECIDING and path.is_file() and not path.name.startswith("."):
                digest.update(f"{path.name} {sha256_of(path)}\n".encode())
        return digest.hexdigest()

    def arguments(self) -> dict[str, Any]:
        """What every `from_pretrained` is told besides the name."""
        return {"revision": self.commit or "main", "trust_remote_code": False}


def find_repository(name: str) -> Repository:
    """Resolve what the user calls a model.

    Args:
        name: a local folder; or a repository's id, after which "@" and a branch, tag or commit may
            follow. The hub is asked, or where transformers is offline, its cache.

    Raises:
        InputError: there is no such folder, transformers is not installed, or the hub does not
            know or give the repository.
    """
    if (folder := Path(name).expanduser()).is_dir():
        if not (folder / CONFIG).is_file():
            raise InputError(
                f"the folder {folder} holds no {CONFIG}: name a folder that save_pretrained wrote"
            )
        return Repository(str(folder), None)
    repository, _, revision = name.partition("@")
    if repository.startswith(("/", ".", "~")) or repository.count("/") > 1:
        raise InputError(f"there is no folder {name}: name a folder or a repository of the hub")
    with needs_transformers():
        from transformers.utils.hub import cached_file, extract_commit_hash  # noqa: PLC0415
    with explained(name):
        found = cached_file(repository, CONFIG, revision=revision or None)
        commit = extract_commit_hash(found, None)
    if commit is None:
        raise InputError(f"the hub gives no {CONFIG} of {name}: name a repository of a model")
    return Repository(repository, commit)


def repository_config(repository: Repository) -> Any:
    """The model's configuration, a `PreTrainedConfig`.

    Raises:
        InputError: it cannot be read, or asks for a model that transformers does not have.
    """
    with needs_transformers():
        from transformers import AutoConfig  # noqa: PLC0415
    with explained(repository.name):
        return AutoConfig.from_pretrained(repository.name, **repository.arguments())


def repository_classes(repository: Repository) -> ClassTable:
    """The class table of the model, by its configuration; see `recognised_table`."""
    id2label = repository_config(repository).id2label
    return recognised_table(id2label, repository.name)


@contextmanager
def needs_transformers() -> Iterator[None]:
    """Turn a failing import of transformers into an InputError that says how to install it."""
    try:
        import seg_assets.modeling.torchvision_cpu  # noqa: F401, PLC0415  # must come first

        yield
    except ImportError as error:
        raise InputError(
            "a segmentor of Hugging Face needs the package transformers, version 5 or later: "
            "pip install 'seg_assets[transformers]'"
        ) from error


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Word what transformers raises when files cannot be had, or need code of their own."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(
            f"the model {name} cannot be read ({first_line(error)}): check the name and the way "
            "to the hub, or name a folder that holds the model"
        ) from error


def first_line(error: Exception) -> str:
    """The first line of a message that has any; transformers writes whole paragraphs."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line.rstrip(".:") for line in lines if line), type(error).__name__)
