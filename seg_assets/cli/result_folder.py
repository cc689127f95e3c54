"""A folder that a command fills image by image; run again, the command does what is missing.

settings.json         models and parameters; another run must have the same
classes.csv           ids, names and colours of the maps
overlays/<image>.jpg  the image under its map
errors.csv            images that failed in the last run

What else lies there, and what marks an image as done, is up to the command.
"""

import csv
import io
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import click
import numpy as np
from PIL import Image
from tqdm import tqdm

from seg_assets.classes.table import ClassTable
from seg_assets.data.shards import ImageRef
from seg_assets.errors import ImageError, InputError, SegAssetsError, StoreError

_log = logging.getLogger(__name__)

Labeler = TypeVar("Labeler")
Result = TypeVar("Result")

# Unexpected errors on the first images, and on nothing but them, are a fault of the set-up.
_SYSTEMATIC_FAILURES = 3


class ResultFolder(ABC, Generic[Labeler, Result]):
    """The results of one command with one set of models and parameters.

    Attributes:
        marks: Pattern of the files that mark images as done.
        root: The folder.
        failed: Image id -> what was wrong, for this run.
    """

    marks: ClassVar[str]

    def __init__(self, root: Path, settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """Go on with the folder, or begin one; nothing is written yet.

        Raises:
            InputError: It holds results of other settings, or of something else.
        """
        self.root = root
        self.failed: dict[str, str] = {}
        self._settings = settings
        self._overwrite = overwrite
        self._succeeded = 0
        self._unexpected = 0
        try:
            before = json.loads((root / "settings.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise InputError(
                f"{root}/settings.json cannot be read: choose another --out"
            ) from error
        if not isinstance(before, dict):
            raise InputError(f"{root}/settings.json is of something else: choose another --out")
        if before != settings and not overwrite:
            names = {**settings, **before}
            other = ", ".join(name for name in names if settings.get(name) != before.get(name))
            raise InputError(
                f"{root} holds results with other settings ({other}): "
                "choose another --out, or do them again with --overwrite"
            )

    @abstractmethod
    def is_done(self, image: ImageRef) -> bool:
        """Whether there are results, and of this very file."""

    @abstractmethod
    def label(self, image: ImageRef, labeler: Labeler) -> Result:
        """Find out everything about one image; whatever is raised is a failure of this image."""

    @abstractmethod
    def keep(self, image: ImageRef, result: Result) -> None:
        """Write an image's results, the mark last."""

    def fill(self, images: Sequence[ImageRef], load_labeler: Callable[[], Labeler]) -> None:
        """Label the images that have no results yet; a failure is noted and stops no other image.

        Args:
            images: All images; for those of them that are done nothing is loaded.
            load_labeler: Loads the models.

        Raises:
            InputError: Two images would have the same results.
            ImageError: Some images failed.
            StoreError: The folder cannot be written, or the images' storage does not answer.
            Exception: The first images' error, where each of them fails in an unexpected way.
        """
        todo = self._missing(images)
        if todo:
            labeler = load_labeler()  # before anything is written or removed: it may be refused
            self._begin()
            done = len(images) - len(todo)
            for image in tqdm(todo, initial=done, total=len(images), unit="image", disable=None):
                self._try(image, labeler)
        self.finish(images)
        click.echo(
            f"{len(images)} images: {len(todo) - len(self.failed)} labelled, "
            f"{len(images) - len(todo)} were done already, {len(self.failed)} failed; "
            f"the results are in {self.root}"
        )
        if self.failed:
            raise ImageError(
                f"{len(self.failed)} of {len(images)} images failed: "
                f"{self.root / 'errors.csv'} says why"
            )

    def finish(self, images: Sequence[ImageRef]) -> None:
        """Write what tells about all images: the errors of this run."""
        self.write("errors.csv", _csv([("image_id", "message"), *sorted(self.failed.items())]))

    def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole.

        Raises:
            StoreError: It cannot be written.
        """
        path = self.root / name
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written ({error.strerror}): choose another --out or make room"
            ) from error

    def write_overlay(self, image_id: str, overlay: np.ndarray) -> None:
        """Write overlays/<image>.jpg from (H, W, 3) uint8 RGB."""
        picture = io.BytesIO()
        Image.fromarray(overlay).save(picture, format="JPEG", quality=90)
        self.write(f"overlays/{image_id}.jpg", picture.getvalue())

    def write_classes(self, *tables: ClassTable) -> None:
        """Write classes.csv, unless it is there."""
        if (self.root / "classes.csv").is_file():
            return
        rows: list[tuple[object, ...]] = [("classes", "id", "name", "red", "green", "blue")]
        for table in {table.name: table for table in tables}.values():
            rows += [(table.name, item.id, item.name, *item.color) for item in table.classes]
        self.write("classes.csv", _csv(rows))

    def _missing(self, images: Sequence[ImageRef]) -> list[ImageRef]:
        seen: dict[str, ImageRef] = {}
        for image in images:
            other = seen.setdefault(image.image_id, image)
            if other is not image:
                raise InputError(
                    f"{other.where} and {image.where} have the same name: label them one by one"
                )
        return [image for image in images if self._overwrite or not self.is_done(image)]

    def _begin(self) -> None:
        """Write the settings; results that will be replaced lose their marks before."""
        if self._overwrite:
            for path in sorted(self.root.glob(self.marks)):
                if path.is_file():
                    path.unlink()
            (self.root / "classes.csv").unlink(missing_ok=True)
        text = json.dumps(self._settings, indent=2) + "\n"
        self.write("settings.json", text.encode())

    def _try(self, image: ImageRef, labeler: Labeler) -> None:
        try:
            result = self.label(image, labeler)
        except StoreError:
            raise
        except SegAssetsError as error:
            self.failed[image.image_id] = str(error)
        except Exception as error:  # one image must not stop the others: it is recorded
            self._unexpected += 1
            if not self._succeeded and self._unexpected >= _SYSTEMATIC_FAILURES:
                raise
            _log.exception("image %s failed", image.image_id)
            self.failed[image.image_id] = f"{type(error).__name__}: {error}"
        else:
            self._succeeded += 1
            self.keep(image, result)


def mark_of(image: ImageRef) -> bytes:
    """What tells a file from another one that takes its name later; size and time where known."""
    source = [image.where, image.offset, image.size]
    with suppress(OSError):  # not a local file
        found = Path(image.uri).stat()
        source += [found.st_size, found.st_mtime_ns]
    return json.dumps(source).encode()


def refuse_inside(out: Path, source: str) -> None:
    """Refuse an output folder from which the next run would take overlays for images of `source`.

    Raises:
        InputError: `out` lies inside `source`.
    """
    if Path(source).is_dir() and out.resolve().is_relative_to(Path(source).resolve()):
        raise InputError(f"--out {out} lies inside {source}: choose a folder beside it")


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
