"""Writes a split of a training data set, image by image; it appears whole or not at all."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

import numpy as np

from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.grounding_json import Referral, referral_json
from seg_assets.data.panoptic.json_list import JsonList, write_json_object
from seg_assets.data.panoptic.layout import (
    GROUNDING_JSON,
    IMAGE_SUFFIX,
    IMAGES,
    MAP_SUFFIX,
    PANOPTIC,
    PANOPTIC_JSON,
    SEMANTIC,
)
from seg_assets.data.panoptic.panoptic_json import PanopticImage
from seg_assets.data.panoptic.segments import Segment
from seg_assets.data.panoptic.split_folder import SplitFolder
from seg_assets.errors import InputError
from seg_assets.storage.files import explained

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """An image as the files of a split hold it.

    Attributes:
        stem: name of its files without extension, unique in the split.
        jpeg: the picture, upright.
        height, width: in pixels.
        panoptic_png: segment ids as colours.
        segments: what the colours are.
        semantic_png: training ids, 255 = no label.
        referrals: what sentences mean.
    """

    stem: str
    jpeg: bytes
    height: int
    width: int
    panoptic_png: bytes
    segments: tuple[Segment, ...]
    semantic_png: bytes
    referrals: tuple[Referral, ...]


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds; also its dataset.json.

    Attributes:
        images: number of images.
        segments: number of segments, crowds included.
        referrals: number of segments with sentences.
        sentences: number of sentences.
        unlabelled_share: share of all pixels that belong to no segment, 0..1.
        segments_per_category: name -> number of segments.
        pixels_per_category: name -> number of pixels.
        failed: image id -> what was wrong with it; those images are left out.
        made_of: what decided the content: shards, parameters, the table's digest.
        content: SHA-256 over the bytes of all files but this one.
    """

    images: int
    segments: int
    referrals: int
    sentences: int
    unlabelled_share: float
    segments_per_category: Mapping[str, int]
    pixels_per_category: Mapping[str, int]
    failed: Mapping[str, str]
    made_of: Mapping[str, Any]
    content: str


class SplitWriter:
    """Writes a split below a hidden name and gives it its own name when it is whole.

    A context manager: leaving the block without an error puts the split in place, in one step even
    where an older one is replaced; after an error, or a kill, nothing has changed but a hidden
    folder that the next writer removes. The same images give the same bytes.

    Args:
        root: the folder of the data set, on this machine.
        split: name of the split.
        categories: the table.
        made_of: plain JSON that says what decides the content, for dataset.json.

    Raises:
        InputError: the name cannot be a folder's, or the table has colours that cannot be painted.
        StoreError: (on entering and later) somebody else writes the split, or the disk refuses.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str,
        categories: CategoryTable,
        made_of: Mapping[str, Any],
    ) -> None:
        categories.check_colors()
        self._folder = SplitFolder(root, split)
        self._categories = categories
        self._made_of = made_of
        self._stack = ExitStack()
        self._stems: set[str] = set()
        self._failed: dict[str, str] = {}
        self._hash = hashlib.sha256()
        self._segments = np.zeros(len(categories), np.int64)
        self._pixels = np.zeros(len(categories), np.int64)
        self._all_pixels = self._referrals = self._sentences = 0
        self._summary: SplitSummary | None = None

    def __enter__(self) -> "SplitWriter":
        with ExitStack() as stack:
            stack.enter_context(self._folder.lock())
            self._folder.discard()
            hidden = self._folder.hidden
            with explained("create", str(hidden)):
                for name in (IMAGES, PANOPTIC, SEMANTIC):
                    (hidden / name).mkdir(parents=True)
                self._images = stack.enter_context(JsonList(hidden))
                self._annotations = stack.enter_context(JsonList(hidden))
                self._groundings = stack.enter_context(JsonList(hidden))
            self._stack = stack.pop_all()
        return self

    def add(self, image: AnnotatedImage) -> None:
        """Write one image's files.

        Raises:
            InputError: the stem was there before.
            StoreError: the disk refuses.
        """
        if image.stem in self._stems:
            raise InputError(
                f"two images of the split {self._folder.split} would both be "
                f"{image.stem}{IMAGE_SUFFIX}; rename one of them"
            )
        self._stems.add(image.stem)
        number = len(self._stems)
        map_name = f"{image.stem}{MAP_SUFFIX}"
        self._write(f"{IMAGES}/{image.stem}{IMAGE_SUFFIX}", image.jpeg)
        self._write(f"{PANOPTIC}/{map_name}", image.panoptic_png)
        self._write(f"{SEMANTIC}/{map_name}", image.semantic_png)
        entry = PanopticImage(
            number,
            f"{image.stem}{IMAGE_SUFFIX}",
            image.height,
            image.width,
            map_name,
            image.segments,
        )
        with explained("write", str(self._folder.hidden)):
            self._images.add(entry.image_json())
            self._annotations.add(entry.annotation_json())
            for referral in image.referrals:
                self._referrals += 1
                self._sentences += len(referral.sentences)
                self._groundings.add(referral_json(referral, number, self._referrals))
        self._all_pixels += image.height * image.width
        for segment in image.segments:
            train_id = self._categories.train_id(segment.category_id)
            self._segments[train_id] += 1
            self._pixels[train_id] += segment.area

    def fail(self, image_id: str, message: str) -> None:
        """Note an image that is left out."""
        logger.warning("%s is left out: %s", image_id, message)
        self._failed[image_id] = message

    @property
    def summary(self) -> SplitSummary:
        """What was written; there is one when the block has been left without an error."""
        if self._summary is None:
            raise RuntimeError(f"the split {self._folder.split} is not finished")
        return self._summary

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._stack:
            if kind is None:
                self._finish()
            else:
                self._folder.discard()

    def _finish(self) -> None:
        if not self._stems:
            first = next(iter(self._failed.items()), None)
            self._folder.discard()
            reason = f": {first[0]} failed because {first[1]}" if first else "; give at least one"
            raise InputError(f"the split {self._folder.split} would have no images{reason}")
        categories = self._categories.to_json()
        images = self._images
        self._write_sections(
            PANOPTIC_JSON, {"images": images, "annotations": self._annotations}, categories
        )
        self._write_sections(
            GROUNDING_JSON, {"images": images, "annotations": self._groundings}, categories
        )
        names = self._categories.names
        self._summary = SplitSummary(
            images=len(self._stems),
            segments=int(self._segments.sum()),
            referrals=self._referrals,
            sentences=self._sentences,
            unlabelled_share=round(1 - int(self._pixels.sum()) / self._all_pixels, 6),
            segments_per_category=dict(zip(names, self._segments.tolist(), strict=True)),
            pixels_per_category=dict(zip(names, self._pixels.tolist(), strict=True)),
            failed=dict(self._failed),
            made_of={**self._made_of, "categories": self._categories.digest},
            content=self._hash.hexdigest(),
        )
        text = json.dumps(asdict(self._summary), indent=1, ensure_ascii=False)
        self._folder.publish(text.encode())

    def _write(self, name: str, data: bytes) -> None:
        with explained("write", self._folder.location(name)):
            (self._folder.hidden / name).write_bytes(data)
        self._note(name, hashlib.sha256(data).hexdigest())

    def _note(self, name: str, digest: str) -> None:
        self._hash.update(f"{name} {digest}\n".encode())

    def _write_sections(
        self, name: str, sections: Mapping[str, JsonList], categories: Sequence[Mapping[str, Any]]
    ) -> None:
        """Join lists, which were written to files while they came, to one JSON object."""
        path = self._folder.hidden / name
        with explained("write", self._folder.location(name)):
            write_json_object(path, {**sections, "categories": categories})
            with path.open("rb") as written:
                self._note(name, hashlib.file_digest(written, "sha256").hexdigest())
