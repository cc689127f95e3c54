"""What every export is asked for, and what it says at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seg_assets.storage.store import Store

Maps = Literal["semantic", "merged", "seem", "ssa"]
Pictures = Literal["copy", "none"]
Progress = Callable[[int, int], None]
"""Called after each image with the number of images done and of all images."""


@dataclass(frozen=True)
class ExportRequest:
    """What is exported, and where to.

    Attributes:
        store: where the shards lie.
        out: the folder that is made, on this machine.
        shards: names of shards; empty for all that are finished.
        maps: whose classes: the semantic maps, the merged maps, SEEM's own maps without the masks,
            or the masks that another segmentor has named (SSA). None for what the format does
            without a wish: semantic; sa1b leaves the classes out where there are none.
        things: names of the classes whose objects are told apart; None for those that the class
            table says, or else those of which most of SEEM's classes are things.
        pictures: whether the images are written beside their labels; None for what the format does
            without a wish.
        overwrite: replace the folder if an earlier export has made it.
        progress: told about each image.
    """

    store: Store
    out: Path
    shards: tuple[str, ...] = ()
    maps: Maps | None = None
    things: tuple[str, ...] | None = None
    pictures: Pictures | None = None
    overwrite: bool = False
    progress: Progress | None = None


@dataclass(frozen=True)
class ExportSummary:
    """What an export holds; its export.json says the same.

    Attributes:
        format: name of the format.
        out: the folder.
        maps: whose classes; None for masks without names.
        classes: name of the class table; None for masks without names.
        shards: the shards that were exported.
        unfinished_shards: registered shards that were left out because they have no such maps.
        images: images that were exported.
        missing: images without results, because an earlier stage gave them up.
        failed: images that have results but could not be exported, as when a picture has changed;
            errors.csv names these and the missing ones.
        objects: annotations, segments or masks; 0 where the format does not count them.
    """

    format: str
    out: Path
    maps: Maps | None
    classes: str | None
    shards: tuple[str, ...]
    unfinished_shards: tuple[str, ...]
    images: int
    missing: int
    failed: int
    objects: int
