"""Writing one shard: part by part, image by image, resumable after a kill at any moment."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from seg_assets.errors import InputError, StoreError
from seg_assets.storage.files import Files
from seg_assets.storage.manifest import (
    ImageFailure,
    Manifest,
    PartRecord,
    fingerprint,
    load_manifest,
)
from seg_assets.storage.names import (
    MANIFEST,
    check_name,
    lock_path,
    part_name,
    pending_folder,
    schema_of,
)
from seg_assets.storage.part import PartWriter, inspect_part
from seg_assets.storage.rows import rows_to_table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _PlannedPart:
    name: str
    image_ids: tuple[str, ...]


class ShardWriter:
    """Writes one shard of one asset; use it as a context manager.

        with store.write_shard("sam_masks", "city", image_ids, provenance) as writer:
            for image_id in writer.pending:
                writer.add(image_id, rows)      # or writer.fail(image_id, stage, message)

    A clean exit finishes the shard. An exception, also Ctrl-C, keeps the finished parts for the
    next run and removes the rest.

    Attributes:
        pending: images still to do, in the order in which they must come.
        reused: images kept from an earlier run (all, if the shard was complete already).
        manifest: the finished shard; None until the block is left.
    """

    pending: list[str]
    reused: int
    manifest: Manifest | None

    def __init__(
        self,
        files: Files,
        asset: str,
        shard: str,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        images_per_part: int,
        retry_failed: bool,
        recompute: bool,
    ) -> None:
        self._schema = schema_of(asset)
        check_name(shard, "shard")
        if images_per_part < 1:
            raise InputError(f"images_per_part is at least 1, not {images_per_part}")
        if twice := [name for name, count in Counter(image_ids).items() if count > 1]:
            raise InputError(f"shard {shard} of {asset} names images twice: {twice[:5]}")
        self._files, self._asset, self._shard = files, asset, shard
        self._provenance, self._recompute = provenance, recompute
        self._retry_failed = retry_failed
        self._fingerprint = fingerprint(asset, self._schema, provenance, image_ids, images_per_part)
        self._folder = f"{asset}/{shard}"
        self._pending_root = pending_folder(asset, shard)
        self._pending_folder = f"{self._pending_root}/{self._fingerprint[:12]}"
        # Even a shard without images has one part, so that every reader finds its columns.
        self._plan = [
            _PlannedPart(
                part_name(index, self._fingerprint),
                tuple(image_ids[start : start + images_per_part]),
            )
            for index, start in enumerate(range(0, max(len(image_ids), 1), images_per_part))
        ]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            lock = lock_path(self._asset, self._shard)
            stack.enter_context(self._files.lock(lock, f"shard {self._shard} of {self._asset}"))
            self._resume()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            try:
                if error is None and self.manifest is None:
                    self._finish()
            finally:
                if self._part is not None:
                    self._part.abort()

    def _resume(self) -> None:
        self._part: PartWriter | None = None
        self._broken = False
        self._next = self._left = 0
        self._finished: dict[str, PartRecord] = {}
        self._in_place: set[str] = set()
        self._retrying = False
        self.manifest = self._complete_manifest()
        if self.manifest is None:
            self._finished = self._earlier_parts()
        else:
            # The earlier run may have been killed after the manifest, while it cleaned up.
            self._files.remove_folder(self._pending_root)
            self._remove_other_files()
            self._finished = {part.name: part for part in self.manifest.parts}
        self._todo = deque(part for part in self._plan if part.name not in self._finished)
        self.pending = [image_id for part in self._todo for image_id in part.image_ids]
        self.reused = sum(len(part.image_ids) for part in self._plan) - len(self.pending)
        if self.reused:
            kept, todo = self.reused, len(self.pending)
            logger.info(
                "%s: %d images kept from an earlier run, %d to do", self._folder, kept, todo
            )

    def _complete_manifest(self) -> Manifest | None:
        """Return the manifest if the shard is finished, the same, and its files are all there."""
        if self._recompute:
            return None
        manifest = self._current_manifest()
        if manifest is None:
            return None
        if manifest.fingerprint != self._fingerprint:
            logger.info("%s is of other inputs or parameters: made anew", self._folder)
            return None
        for part in manifest.parts:
            path, size = f"{self._folder}/{part.name}", -1
            with suppress(FileNotFoundError):
                size = self._files.size(path)
            if size != part.bytes:
                where = self._files.location(path)
                logger.warning("%s is missing or damaged: it is written again", where)
                return None
        if manifest.failures and self._retry_failed:
            logger.info("%s: trying %d images again", self._folder, len(manifest.failures))
            self._retrying = True
            return None
        return manifest

    def _current_manifest(self) -> Manifest | None:
        try:
            return load_manifest(self._files, self._asset, self._shard)
        except StoreError as error:
            logger.warning("%s", error)
            return None

    def _earlier_parts(self) -> dict[str, PartRecord]:
        """Collect the finished parts of an interrupted run and remove everything else of it."""
        if self._recompute:
            self._files.remove_folder(self._pending_root)
            return {}
        planned = {part.name: part for part in self._plan}
        found: dict[str, PartRecord] = {}
        for folder in (self._pending_folder, self._folder):
            for name in self._files.list_files(folder):
                path, part = f"{folder}/{name}", planned.get(name)
                record = None
                if part is not None and name not in found:
                    record = inspect_part(self._files, path, self._fingerprint, part.image_ids)
                if self._retrying and record is not None and record.failures:
                    record = None
                if record is not None:
                    found[name] = record
                    if folder == self._folder:
                        self._in_place.add(name)
                elif folder == self._pending_folder:
                    self._files.remove(path)
        return found

    def add(self, image_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows of the next pending image.

        Args:
            image_id: the next of `pending`.
            rows: mappings by column; `image_id` may be left out, optional columns too. No rows
                is a normal result.

        Raises:
            StoreError: another image is next, a row breaks the schema, or the file cannot be
                written.
        """
        self._expect(image_id)
        where = f"{self._asset}/{self._shard}, image {image_id}"
        table = rows_to_table(self._schema, image_id, rows, where)
        self._step(lambda part: part.add(image_id, table))

    def fail(self, image_id: str, stage: str, message: str) -> None:
        """Give up the next pending image; the shard goes on without it.

        Args:
            image_id: the next of `pending`.
            stage: what failed, as "read" or "sam_masks".
            message: one sentence.

        Raises:
            StoreError: another image is next, or the file cannot be written.
        """
        self._expect(image_id)
        logger.warning("%s/%s: image %s: %s", self._asset, self._shard, image_id, message)
        failure = ImageFailure(image_id, stage, message)
        self._step(lambda part: part.fail(failure))

    def _expect(self, image_id: str) -> None:
        if self._broken:
            raise StoreError(f"{self._folder} cannot go on after an error: run it again")
        following = self.pending[self._next] if self._next < len(self.pending) else None
        if image_id != following:
            raise StoreError(
                f"{self._folder} got image {image_id!r} but {following!r} is next: "
                f"follow the order of writer.pending"
            )

    def _step(self, write: Callable[[PartWriter], None]) -> None:
        try:
            if self._part is None:
                self._part = self._open_part()
            write(self._part)
            self._next += 1
            self._left -= 1
            if self._left == 0:
                self._close_part()
        except BaseException:
            self._broken = True
            raise

    def _open_part(self) -> PartWriter:
        planned = self._todo.popleft()
        self._left = len(planned.image_ids)
        path = f"{self._pending_folder}/{planned.name}"
        return PartWriter(self._files, path, self._schema, self._fingerprint)

    def _close_part(self) -> None:
        if self._part is not None:
            record = self._part.close()
            self._finished[record.name] = record
            self._part = None

    def _finish(self) -> None:
        if self._broken or self._next < len(self.pending):
            missing = len(self.pending) - self._next
            raise StoreError(
                f"{self._folder} is not finished: {missing} images were neither added nor failed"
            )
        if self._todo:  # the one part of a shard without images
            self._part = self._open_part()
            self._close_part()
        manifest = Manifest(
            asset=self._asset,
            shard=self._shard,
            fingerprint=self._fingerprint,
            provenance=self._provenance,
            parts=tuple(self._finished[part.name] for part in self._plan),
        )
        self._files.write(f"{self._pending_folder}/{MANIFEST}", manifest.to_json())
        if self._in_place or not self._files.swap_folders(self._pending_folder, self._folder):
            self._move_parts()
        self._files.remove_folder(self._pending_root)
        self.manifest = manifest

    def _move_parts(self) -> None:
        """Finish the shard file by file where folders cannot change places, manifest last."""
        current = self._current_manifest()
        if current is not None and current.fingerprint == self._fingerprint:
            # New parts take the names of the old ones: better no shard for a moment than a mixture.
            self._files.remove(f"{self._folder}/{MANIFEST}")
        names = [part.name for part in self._plan]
        for name in [*(name for name in names if name not in self._in_place), MANIFEST]:
            self._files.move(f"{self._pending_folder}/{name}", f"{self._folder}/{name}")
        self._remove_other_files()

    def _remove_other_files(self) -> None:
        wanted = {*(part.name for part in self._plan), MANIFEST}
        for name in self._files.list_files(self._folder):
            if name not in wanted:
                self._files.remove(f"{self._folder}/{name}")
