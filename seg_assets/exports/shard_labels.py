"""A shard opened for an export: the assets that belong together, and which images have results."""

from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType, TracebackType
from typing import Any, Self

from seg_assets.classes.table import ClassTable
from seg_assets.errors import StoreError
from seg_assets.exports.labels import ImageLabels, MaskNaming
from seg_assets.exports.naming import RegionNaming, VoteNaming
from seg_assets.exports.request import Maps
from seg_assets.labels.tables import stored_classes
from seg_assets.masks.records import MaskRecord
from seg_assets.storage.lineage import upstream
from seg_assets.storage.store import Store

MAPS_ASSETS: Mapping[Maps, str] = MappingProxyType(
    {
        "semantic": "semantic_maps",
        "merged": "merged_maps",
        "seem": "seem_labels",
        "ssa": "ssa_maps",
    }
)
"""Which asset holds the maps of each kind, in its column `label_map`."""

# What names the masks, and what lies between it and the maps.
_NAMING_ASSETS: Mapping[Maps, tuple[str, ...]] = MappingProxyType(
    {
        "semantic": ("region_labels",),
        "merged": ("region_labels", "semantic_maps"),
        "seem": (),
        "ssa": ("ssa_masks",),
    }
)


def needed_assets(maps: Maps | None, *, masks: bool) -> list[str]:
    """The assets that an export reads.

    Args:
        maps: whose classes; None for masks without names.
        masks: whether masks and their names are wanted, or label maps only.
    """
    assets = ["raw_images"]
    if masks:
        assets += ["sam_masks", *(_NAMING_ASSETS[maps] if maps else ())]
    if maps is not None:
        assets.append(MAPS_ASSETS[maps])
    return assets


class ShardLabels:
    """The labels of the images of one shard; use it as a context manager.

    Args:
        store: where the shard lies.
        shard: its name.
        maps: whose classes; None for masks without names.
        masks: whether masks and their names will be asked for, or label maps only.

    Attributes:
        image_ids: all images of the shard in order, those without results too.
        table: the classes of the maps; None for masks without names.

    Raises:
        StoreError: an asset is missing, unfinished or damaged, or two of them were not made from
            one another.
    """

    def __init__(self, store: Store, shard: str, maps: Maps | None, *, masks: bool) -> None:
        self._readers = {
            asset: store.open_shard(asset, shard) for asset in needed_assets(maps, masks=masks)
        }
        upstream(*self._readers.values())
        self._maps_reader = self._readers[MAPS_ASSETS[maps]] if maps is not None else None
        self.table = None if self._maps_reader is None else stored_classes(self._maps_reader)
        self._source: ClassTable | None = None
        if "region_labels" in self._readers:
            self._source = stored_classes(self._readers["region_labels"], "source_classes")
        self.image_ids = self._readers["raw_images"].manifest.image_ids

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with ExitStack() as stack:
            for reader in self._readers.values():
                stack.callback(reader.close)

    def missing(self, image_id: str) -> str | None:
        """Why an image has no results; None if it has."""
        for asset, reader in self._readers.items():
            if image_id in reader.failed:
                stage, message = reader.failed[image_id]
                return f"{stage} failed: {message}"
            if image_id not in reader:
                return f"{asset} was made without this image: materialise it again"
        return None

    def image_row(self, image_id: str) -> dict[str, Any]:
        """The row of `raw_images` of an image that has results."""
        return self._readers["raw_images"].rows(image_id)[0]

    def labels(self, image_id: str) -> ImageLabels:
        """The labels of an image that has results; nothing is read before it is asked for."""
        return ImageLabels(
            lambda: self._read_png(image_id),
            lambda: self._read_records(image_id),
            self._naming(image_id),
        )

    def _read_png(self, image_id: str) -> bytes:
        if self._maps_reader is None:
            raise StoreError(f"no maps of {image_id} were asked for")
        return self._maps_reader.rows(image_id)[0]["label_map"]["bytes"]

    def _read_records(self, image_id: str) -> tuple[MaskRecord, ...]:
        rows: list[dict[str, Any]] = self._readers["sam_masks"].rows(image_id)
        return tuple(MaskRecord.from_row(row) for row in rows)

    def _naming(self, image_id: str) -> MaskNaming | None:
        if self._source is not None:
            return RegionNaming(self._readers["region_labels"], image_id, self._source)
        if "ssa_masks" in self._readers and self.table is not None:
            return VoteNaming(self._readers["ssa_masks"], image_id, self.table)
        return None
