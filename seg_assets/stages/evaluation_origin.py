"""Where a report's numbers come from: which shards, made with which models, still as scored?"""

from collections.abc import Mapping, Sequence
from typing import Any

from seg_assets.data.shards import list_shards
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.store import Store

_MADE_WITH_MODELS = ("sam_masks", "seem_labels", "ssa_maps")
_COMPARED = ("merged_maps", "ssa_maps")


def origin_of(store: Store, shards: Sequence[str]) -> dict[str, Any]:
    """Say where the numbers come from, ready for JSON.

    Keys: shards (added up), shards_not_scored (registered, but without a finished evaluation),
    shards_outdated (their maps were made anew, or got company, since they were scored), models
    (asset, model, SHA-256 of the checkpoint, number of shards: two rows of one asset tell that the
    shards were not all made alike).

    Args:
        store: where the shards lie.
        shards: names of shards whose evaluation is finished.
    """
    outdated: list[str] = []
    models: dict[tuple[str, str, str | None], int] = {}
    for shard in shards:
        scored = store.open_shard("evaluation_metrics", shard).manifest.provenance.get(
            "upstream", {}
        )
        # an asset at a time: manifests name every image
        fresh = [
            _of_asset(store, asset, shard, scored, models)
            for asset in dict.fromkeys((*_MADE_WITH_MODELS, *_COMPARED))
        ]
        if not all(fresh):
            outdated.append(shard)
    return {
        "shards": list(shards),
        "shards_not_scored": sorted(set(list_shards(store)) - set(shards)),
        "shards_outdated": outdated,
        "models": [
            {"asset": asset, "model": model, "checkpoint": checkpoint, "shards": count}
            for (asset, model, checkpoint), count in sorted(models.items(), key=str)
        ],
    }


def _of_asset(
    store: Store,
    asset: str,
    shard: str,
    scored: Mapping[str, str],
    models: dict[tuple[str, str, str | None], int],
) -> bool:
    """Count the asset's model; returns whether the asset is as it was scored, or was removed."""
    if not store.is_complete(asset, shard):
        return True
    reader = store.open_shard(asset, shard)
    if asset in _MADE_WITH_MODELS and asset in scored:
        model = _model(asset, reader)
        models[model] = models.get(model, 0) + 1
    if asset in scored:
        return scored[asset] == reader.manifest.digest
    return asset not in _COMPARED


def _model(asset: str, reader: ShardReader) -> tuple[str, str, str | None]:
    told = reader.manifest.provenance
    return asset, told.get("model") or told.get("segmentor") or "not told", told.get("checkpoint")
