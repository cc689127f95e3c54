"""The loop that all exports share: shard by shard, image by image; an image fails alone."""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from seg_assets.classes.record import table_record
from seg_assets.errors import ImageError, SegAssetsError, StoreError
from seg_assets.exports.error_list import ErrorList
from seg_assets.exports.folder import MARK, ExportFolder
from seg_assets.exports.format import ExportFormat, ExportImage, FormatWriter
from seg_assets.exports.pictures import has_suffix, read_picture, suffix_of
from seg_assets.exports.request import ExportRequest, ExportSummary, Maps, Pictures
from seg_assets.exports.selection import Selection, finished_shards, select_shards
from seg_assets.exports.shard_labels import ShardLabels, needed_assets

logger = logging.getLogger(__name__)


def run_export(request: ExportRequest, form: ExportFormat) -> ExportSummary:
    """Write the images of some shards in one format.

    The folder appears when it is whole. An image that has no results, or whose picture cannot be
    read, is left out, counted and named in errors.csv.

    Args:
        request: what is exported, and where to.
        form: the format.

    Raises:
        InputError: the folder is taken, no shard is finished, or the shards do not fit together.
        ImageError: none of the images could be exported.
        StoreError: a shard is unfinished or damaged, or the disk refuses.
    """
    maps = _maps(request, form)
    chosen = select_shards(request.store, request.shards, maps, masks=form.needs_masks)
    for name in chosen.unfinished:
        logger.warning("shard %s is left out: it has no finished %s maps", name, maps or "SAM")
    with (
        ExportFolder(request.out, overwrite=request.overwrite) as folder,
        form.open(folder, chosen.table) as writer,
        ErrorList(folder) as errors,
    ):
        export = _Export(request, form, maps, chosen, writer, errors)
        images = sum(export.shard(shard, before) for shard, before in _with_offsets(chosen))
        if images == 0:
            raise ImageError(f"none of {chosen.images} images could be exported: {errors.first}")
        writer.finish()
        summary = ExportSummary(
            format=form.name,
            out=folder.out,
            maps=maps,
            classes=None if chosen.table is None else chosen.table.name,
            shards=tuple(chosen.shards),
            unfinished_shards=chosen.unfinished,
            images=images,
            missing=export.missing,
            failed=export.failed,
            objects=writer.objects,
        )
        folder.write(MARK, _mark(request, form, chosen, summary))
    return summary


def _maps(request: ExportRequest, form: ExportFormat) -> Maps | None:
    """Whose classes: those that are asked for, else the semantic maps', if there are such."""
    if request.maps is not None:
        return request.maps
    if form.needs_classes:
        return "semantic"
    store = request.store
    assets = needed_assets("semantic", masks=form.needs_masks)
    if request.shards:
        named = all(store.is_complete(a, shard) for a in assets for shard in request.shards)
    else:
        named = bool(finished_shards(store, "semantic", masks=form.needs_masks))
    return "semantic" if named else None


def _with_offsets(chosen: Selection) -> Iterator[tuple[str, int]]:
    before = 0
    for shard, images in chosen.shards.items():
        yield shard, before
        before += images


class _Export:
    """The images of one export; counts those that are left out."""

    def __init__(
        self,
        request: ExportRequest,
        form: ExportFormat,
        maps: Maps | None,
        chosen: Selection,
        writer: FormatWriter,
        errors: ErrorList,
    ) -> None:
        self._request, self._form = request, form
        self._maps: Maps | None = maps
        self._chosen, self._writer, self._errors = chosen, writer, errors
        self.missing = self.failed = 0
        self._pictures: Pictures = request.pictures or form.pictures

    def shard(self, name: str, before: int) -> int:
        """Export one shard; returns the number of images that succeeded."""
        succeeded = 0
        form, progress = self._form, self._request.progress
        with ShardLabels(self._request.store, name, self._maps, masks=form.needs_masks) as shard:
            for number, image_id in enumerate(shard.image_ids, before + 1):
                if (reason := shard.missing(image_id)) is not None:
                    self.missing += 1
                    self._errors.add(name, image_id, reason)
                else:
                    succeeded += self._try(shard, name, image_id, number)
                if progress is not None:
                    progress(number, self._chosen.images)
        self._writer.end_shard(name)
        return succeeded

    def _try(self, shard: ShardLabels, shard_name: str, image_id: str, number: int) -> bool:
        try:
            self._image(shard, shard_name, image_id, number)
        except StoreError:
            raise
        except SegAssetsError as error:  # one image must not stop the others
            self.failed += 1
            logger.warning("image %s of shard %s is left out: %s", image_id, shard_name, error)
            self._errors.add(shard_name, image_id, str(error))
            return False
        return True

    def _image(self, shard: ShardLabels, shard_name: str, image_id: str, number: int) -> None:
        row = shard.image_row(image_id)
        picture, suffix = None, suffix_of(row)
        if self._pictures == "copy":
            picture, suffix = read_picture(row)
        name = self._chosen.name_of(shard_name, image_id)
        image = ExportImage(
            shard=shard_name,
            image_id=image_id,
            number=number,
            name=name,
            file_name=name if has_suffix(row, suffix) else name + suffix,
            height=row["height"],
            width=row["width"],
            labels=shard.labels(image_id),
            picture=picture,
        )
        self._writer.add(image)
        folder = self._form.pictures_folder
        if picture is not None and folder is not None:
            self._writer.folder.write(f"{folder}/{image.file_name}", picture)


def _mark(
    request: ExportRequest, form: ExportFormat, chosen: Selection, summary: ExportSummary
) -> bytes:
    content: Mapping[str, Any] = {
        "format": form.name,
        "store": request.store.root,
        "shards": list(chosen.shards),
        "unfinished_shards": list(chosen.unfinished),
        "maps": summary.maps,
        "classes": None if chosen.table is None else table_record(chosen.table),
        "things": None if request.things is None else list(request.things),
        "pictures": request.pictures or form.pictures,
        **(form.settings or {}),
        "images": summary.images,
        "missing": summary.missing,
        "failed": summary.failed,
        "objects": summary.objects,
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
