"""evaluation_report: the evaluation of all shards added up, as JSON, tables and a page."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from seg_assets.data.images import read_row
from seg_assets.data.shards import list_shards, load_shard
from seg_assets.errors import ImageError, InputError, StoreError
from seg_assets.evaluation.label_set import LabelSums
from seg_assets.evaluation.mask_set import FoundObject, MaskSums, recall_of
from seg_assets.evaluation.tally import NO_LABELS, NO_PREDICTION, NO_TRUTH, RatedImage, Tally
from seg_assets.labels.tables import stored_classes
from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.metrics.purity import RegionPurity
from seg_assets.stages.comparison import METHODS, Comparison
from seg_assets.stages.evaluation import EVALUATION_ASSETS
from seg_assets.stages.evaluation_origin import origin_of
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.store import Store

logger = logging.getLogger(__name__)

NOT_REGISTERED = "no longer in the shard"
REPORT_FOLDER = "evaluation_report"
REPORT_PATH = f"{REPORT_FOLDER}/report.json"


def scored_shards(store: Store) -> list[str]:
    """The registered shards whose metrics are finished, sorted."""
    return [name for name in list_shards(store) if store.is_complete("evaluation_metrics", name)]


def sum_shards(store: Store, shards: Sequence[str]) -> Tally:
    """Add up the evaluation of the given shards.

    What is missing is counted as well: images of the shards that no map was made of, images without
    ground truth, images that could not be compared, images that a shard had when it was scored and
    has no longer.

    Raises:
        InputError: the shards were not all scored in the same classes.
        StoreError: a shard is not finished, not registered any more, or its tables are of
            different runs.
    """
    tally, tables = Tally(tuple(METHODS)), {}
    for shard in shards:
        metrics, masks, objects = (store.open_shard(asset, shard) for asset in EVALUATION_ASSETS)
        if not _decided(metrics) == _decided(masks) == _decided(objects):
            raise StoreError(
                f"{', '.join(EVALUATION_ASSETS)} of shard {shard} are not of one run: materialise "
                "them again"
            )
        table = stored_classes(metrics)
        tables[shard] = table
        if table != (first := next(iter(tables.values()))):
            raise InputError(
                f"shard {shard} was scored in {table.name!r} and {next(iter(tables))} in "
                f"{first.name!r}: score all of them in one class table"
            )
        expected = metrics.manifest.provenance["prediction_maps"]
        left_out = metrics.manifest.provenance.get("left_out", {})
        registered = {image.image_id: None for image in load_shard(store, shard).images}
        for method, told in expected.items():
            tally.cannot_name(method, told.get("unreachable", ()))
        for image_id, rows in metrics:
            if image_id not in registered:
                tally.miss(NOT_REGISTERED, f"{shard}: {image_id}")
                continue
            if not rows:
                tally.miss(NO_TRUTH, f"{shard}: {image_id}")
                continue
            lacking = dict.fromkeys(sorted(expected.keys() - {row["method"] for row in rows}), "")
            for method, why in (lacking | left_out).items():
                told = f"{shard}: {image_id}" + (f": {why}" if why else "")
                tally.miss(f"{NO_LABELS}{METHODS[method]}", told)
            (of_masks,) = masks.rows(image_id)
            found = [FoundObject.from_row(row) for row in objects.rows(image_id)]
            tally.add(
                shard,
                image_id,
                {row["method"]: LabelSums.from_row(row, table) for row in rows},
                MaskSums(
                    RegionPurity.from_list(of_masks["purity"]),
                    ConfusionMatrix.from_list(table, of_masks["oracle"]),
                    recall_of(found) if of_masks["has_objects"] else None,
                ),
            )
        for image_id, (kind, message) in metrics.failed.items():
            tally.miss(kind, f"{shard}: {image_id}: {message}")
        known = {*metrics.image_ids, *metrics.failed}
        for image_id in registered:
            if image_id not in known:
                tally.miss(NO_PREDICTION, f"{shard}: {image_id}")
        for reader in (metrics, masks, objects):
            reader.close()
    return tally


def _decided(reader: ShardReader) -> dict[str, Any]:
    """What a shard was made from; the three tables of an evaluation differ in their code only."""
    return {k: v for k, v in reader.manifest.provenance.items() if k != "code_version"}


def write_report(store: Store, shards: Sequence[str]) -> Tally:
    """Add up all shards and write `evaluation_report/`: report.json, per_class.csv, index.html.

    Raises:
        InputError: the shards were not all scored in the same classes.
        StoreError: a shard is not finished, or the store cannot be written.
    """
    from seg_assets.evaluation.output import report_files  # noqa: PLC0415  # draws with matplotlib

    tally = sum_shards(store, shards)
    drawn = [(image, _draw(store, image)) for image in tally.worst]
    pictures = [(image, picture) for image, picture in drawn if picture is not None]
    files = report_files(tally, METHODS, pictures, origin_of(store, shards))
    for name, data in files.items():
        store.write_bytes(f"{REPORT_FOLDER}/{name}", data)
    return tally


def _draw(store: Store, rated: RatedImage) -> np.ndarray | None:
    """The image beside its truth and all label sets; None where something has gone since."""
    from seg_assets.viz.comparison import draw_comparison  # noqa: PLC0415

    try:
        wanted = store.open_shard("evaluation_metrics", rated.shard).manifest.provenance
        found = Comparison.open(store, load_shard(store, rated.shard), wanted["wanted_classes"])
        row = store.open_shard("raw_images", rated.shard).rows(rated.image_id)[0]
        truth = found.read_truth(rated.image_id)
        label_maps = {
            METHODS[method]: source.class_map.apply(source.read(rated.image_id))
            for method, source in found.sources.items()
            if rated.image_id in source.maps
        }
        if truth is None or not label_maps:
            return None
        return draw_comparison(read_row(row), truth.label_map, label_maps, found.table)
    except (ImageError, InputError, StoreError) as error:
        logger.warning("%s of %s cannot be drawn: %s", rated.image_id, rated.shard, error)
        return None
