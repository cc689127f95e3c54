"""What a format is to the loop that exports images: what it needs and what it adds."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from seg_assets.classes.table import ClassTable
from seg_assets.errors import InputError
from seg_assets.exports.folder import ExportFolder
from seg_assets.exports.labels import ImageLabels
from seg_assets.exports.request import Pictures
from seg_assets.storage.files import explained


@dataclass(frozen=True, eq=False)
class ExportImage:
    """One image that has results.

    Attributes:
        shard: its shard.
        image_id: unique in the shard.
        number: from 1, counted over all images of the exported shards, failed ones too: it stays
            when a failed image is mended.
        name: what its files are called, with slashes, without extension; unique in the export.
        file_name: of the picture: the name with an extension.
        height: of the upright image, in pixels.
        width: of the upright image, in pixels.
        labels: what is known about it.
        picture: the image's file, upright; None where pictures were not asked for.
    """

    shard: str
    image_id: str
    number: int
    name: str
    file_name: str
    height: int
    width: int
    labels: ImageLabels
    picture: bytes | None


class FormatWriter(ABC):
    """Writes one format into a folder, image by image. A context manager: files are closed on exit.

    `add` computes before it writes, so that an image that fails leaves nothing.

    Args:
        folder: where to write.

    Attributes:
        objects: annotations, segments or masks so far; 0 where the format does not count them.
    """

    objects: int = 0

    def __init__(self, folder: ExportFolder) -> None:
        self.folder = folder
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # what is still in buffers is written now: a full disk shows itself here a second time
        with explained("write", str(self.folder.out)):
            self.stack.close()

    @abstractmethod
    def add(self, image: ExportImage) -> None:
        """Write one image.

        Raises:
            SegAssetsError: the image cannot be exported; nothing of it was written.
            StoreError: the store or the disk refuses.
        """

    def end_shard(self, shard: str) -> None:  # noqa: B027  # most have nothing to do
        """Hear that all images of a shard were added."""

    def finish(self) -> None:  # noqa: B027  # some have nothing to do
        """Write what is known only at the end."""


@dataclass(frozen=True)
class ExportFormat:
    """A format.

    Attributes:
        name: as the command line knows it.
        open: makes the writer, given the folder and the classes (None for masks without names).
        needs_masks: whether it reads masks and their names, or label maps only.
        needs_classes: whether it makes no sense without classes.
        pictures: what is done with the images unless something else is asked for.
        pictures_folder: where copied images go; None where the writer keeps them itself.
        settings: what else decides the content, for export.json.
    """

    name: str
    open: Callable[[ExportFolder, ClassTable | None], FormatWriter]
    needs_masks: bool = True
    needs_classes: bool = True
    pictures: Pictures = "none"
    pictures_folder: str | None = "images"
    settings: Mapping[str, Any] | None = None


def required(table: ClassTable | None) -> ClassTable:
    """The classes, for a format that makes no sense without them.

    Raises:
        InputError: there are none.
    """
    if table is None:
        raise InputError("this format needs classes: export maps, not masks without names")
    return table
