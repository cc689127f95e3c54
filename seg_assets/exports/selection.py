"""Which shards are exported, in which classes, and what the files of their images are called."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seg_assets.classes.table import ClassTable
from seg_assets.data.shards import list_shards
from seg_assets.errors import InputError
from seg_assets.exports.request import Maps
from seg_assets.exports.shard_labels import ShardLabels, needed_assets
from seg_assets.storage.store import Store


@dataclass(frozen=True)
class Selection:
    """The shards of an export.

    Attributes:
        shards: names and numbers of images, in order.
        unfinished: registered shards that are left out because something of them is missing.
        table: the classes that they share; None for masks without names.
        shard_folders: whether files lie in a folder per shard, because two shards have an image of
            the same id.
    """

    shards: dict[str, int]
    unfinished: tuple[str, ...]
    table: ClassTable | None
    shard_folders: bool

    @property
    def images(self) -> int:
        """Images of all shards, failed ones too."""
        return sum(self.shards.values())

    def name_of(self, shard: str, image_id: str) -> str:
        """What the files of an image are called, with slashes, without extension."""
        return f"{shard}/{image_id}" if self.shard_folders else image_id


def finished_shards(store: Store, maps: Maps | None, *, masks: bool) -> list[str]:
    """The shards, sorted, that have everything that an export reads."""
    first, *others = needed_assets(maps, masks=masks)
    found = set(store.shards(first))
    return sorted(found.intersection(*(store.shards(asset) for asset in others)))


def select_shards(
    store: Store, wanted: Sequence[str], maps: Maps | None, *, masks: bool
) -> Selection:
    """Look at the shards that are to be exported; their manifests are read, one after the other.

    Args:
        store: where they lie.
        wanted: names of shards; empty for all that are finished.
        maps: whose classes; None for masks without names.
        masks: whether masks and their names are read, or label maps only.

    Raises:
        InputError: a shard is named twice, none is finished, or they are in different classes.
        StoreError: a named shard is not finished, or is damaged.
    """
    if len(set(wanted)) != len(wanted):
        raise InputError(f"a shard is named twice in {', '.join(wanted)}: name each once")
    unfinished: tuple[str, ...] = ()
    names = list(wanted)
    if not names:
        names = finished_shards(store, maps, masks=masks)
        unfinished = tuple(name for name in list_shards(store) if name not in names)
    if not names:
        needed = ", ".join(needed_assets(maps, masks=masks))
        raise InputError(
            f"no shard of {store.location()} has finished {needed}: materialise them first, or "
            "choose other maps"
        )
    shards: dict[str, int] = {}
    table: ClassTable | None = None
    digests = []
    for name in names:
        with ShardLabels(store, name, maps, masks=masks) as shard:
            if shards and shard.table != table:
                raise InputError(
                    f"the {maps} maps of shard {name} are in other classes than those of shard "
                    f"{next(iter(shards))}: export them one by one"
                )
            table = shard.table
            shards[name] = len(shard.image_ids)
            digests.append(np.array([_digest(i) for i in shard.image_ids], np.uint64))
    ids = np.concatenate(digests)
    # 64 bits each instead of the names: a million images take 8 MB. Should two names ever have one
    # digest, the files lie in folders without need.
    return Selection(shards, unfinished, table, len(np.unique(ids)) < len(ids))


def _digest(image_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(image_id.encode(), digest_size=8).digest(), "little")
