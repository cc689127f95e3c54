"""evaluation_metrics: label maps against ground truth; evaluation_report: all shards together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seg_assets.classes.mapping import ClassMap, load_class_map, own_folder
from seg_assets.classes.record import table_record
from seg_assets.classes.table import load_class_table
from seg_assets.data.label_maps import label_table, read_label_map
from seg_assets.data.shards import Shard, list_shards
from seg_assets.errors import StoreError
from seg_assets.labels.tables import map_folders, stored_classes
from seg_assets.metrics.confusion import ConfusionMatrix, compare
from seg_assets.metrics.semantic import SemanticScores, semantic_scores
from seg_assets.stages.run import (
    LIGHT_IMAGES_PER_PART,
    RowsOfImage,
    StageReport,
    Stopwatch,
    run_stage,
    sha256_of,
    upstream,
)
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.reader import ShardReader
from seg_assets.storage.store import Store

REPORT_PATH = "evaluation_report/report.json"

SAM_SEEM, SEEM = "sam_seem", "seem"
METHODS = {SAM_SEEM: "SAM + SEEM", SEEM: "SEEM alone"}
"""What is compared with the truth: SEEM's names on SAM's regions, and SEEM's own map."""


def score_maps(
    store: Store,
    shard: Shard,
    *,
    classes: str | None = None,
    recompute: bool = False,
) -> StageReport:
    """Write a confusion matrix per method and image that has ground truth.

    Maps and ground truth are brought into the same classes first. An image without ground truth
    gives no rows; the report counts it.

    Args:
        store: where `seem_labels`, `semantic_maps` and `merged_maps` of the shard lie.
        shard: the shard's definition, which says where its ground truth lies and how it is written.
        classes: the class table in which they meet, to which both must have a class map; by default
            that of `merged_maps`.
        recompute: do finished images anew.

    Raises:
        InputError: the maps or the ground truth have no class map into the wanted classes.
        StoreError: the maps are missing, or the shard was registered with other images since.
    """
    merged_maps = store.open_shard("merged_maps", shard.name)
    semantic_maps = store.open_shard("semantic_maps", shard.name)
    seem_labels = store.open_shard("seem_labels", shard.name)
    made_from = upstream(merged_maps, semantic_maps, seem_labels)
    merged_table, semantic_table = stored_classes(merged_maps), stored_classes(semantic_maps)
    table = merged_table if classes is None else load_class_table(classes)
    folders = _map_folders(merged_maps, classes)
    predictions: dict[str, tuple[ShardReader, ClassMap]] = {}
    truth_map = None
    if shard.label_format is not None:
        truth_map = load_class_map(label_table(shard.label_format), table, folders=folders)
        # SEEM's own map and the semantic map share a table: only the masks make a difference
        to_table = load_class_map(semantic_table, table, folders=folders)
        predictions[SAM_SEEM] = (semantic_maps, to_table)
        if table == merged_table:
            predictions[SAM_SEEM] = (merged_maps, ClassMap.identity(table))
        predictions[SEEM] = (seem_labels, to_table)
    label_uris = {image.image_id: image.label_uri for image in shard.images}
    if strangers := [i for i in merged_maps.image_ids if i not in label_uris]:
        raise StoreError(
            f"merged_maps of shard {shard.name} holds {strangers[0]}, which the shard no longer "
            f"does: materialise the shard anew, from raw_images on"
        )

    def prepare(watch: Stopwatch):
        def score(image_id: str) -> RowsOfImage:
            label_uri = label_uris[image_id]
            if shard.label_format is None or truth_map is None or label_uri is None:
                return {"evaluation_metrics": []}
            with watch.time("read"):
                truth = read_label_map(label_uri, shard.label_format)
            rows = []
            for method, (maps, class_map) in predictions.items():
                with watch.time("read"):
                    prediction = decode_label_map(maps.rows(image_id)[0]["label_map"]["bytes"])
                with watch.time("compare"):
                    confusion = compare(
                        prediction,
                        truth,
                        prediction_map=class_map,
                        truth_map=truth_map,
                        where=image_id,
                    )
                row = {
                    "image_id": image_id,
                    "method": method,
                    "table": table.name,
                    "pixels": int(truth.size),
                    "ignored": int(truth.size) - confusion.pixels,
                    "confusion": confusion.to_list(),
                }
                rows.append(row)
            return {"evaluation_metrics": rows}

        return score

    return run_stage(
        store,
        shard.name,
        ["evaluation_metrics"],
        merged_maps.image_ids,
        {
            "classes": table_record(table),
            "label_format": shard.label_format,
            "labels": sha256_of([[i, label_uris[i]] for i in merged_maps.image_ids]),
            "truth_map": truth_map.digest if truth_map is not None else None,
            "prediction_maps": {
                method: {"maps": maps.manifest.asset, "class_map": class_map.digest}
                for method, (maps, class_map) in predictions.items()
            },
            "upstream": made_from,
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


def _map_folders(merged_maps: ShardReader, classes: str | None) -> tuple[Path, ...]:
    """Folders with class maps of your own: of the model, of the merged classes, of the wanted."""
    told = merged_maps.manifest.provenance
    folders = (*map_folders(told["model"]), *own_folder(told["wanted_classes"]))
    return folders if classes is None else (*folders, *own_folder(classes))


@dataclass(frozen=True)
class Evaluation:
    """Sums over images, shards or machines; `scores` divides once at the end.

    Attributes:
        confusions: per method, summed over all images with ground truth; empty without any.
        images: images with ground truth.
        without_truth: labelled images without ground truth.
        failed: images that could not be scored.
    """

    confusions: Mapping[str, ConfusionMatrix]
    images: int
    without_truth: int
    failed: int

    def scores(self) -> dict[str, SemanticScores]:
        """The metrics of the sums, per method; empty without any ground truth."""
        return {method: semantic_scores(found) for method, found in self.confusions.items()}


def sum_shards(store: Store, shards: Sequence[str]) -> Evaluation:
    """Add up `evaluation_metrics` of the given shards.

    Raises:
        InputError: the shards were not all scored in the same classes.
    """
    confusions: dict[str, ConfusionMatrix] = {}
    scored = labelled = failed = 0
    for shard in shards:
        reader = store.open_shard("evaluation_metrics", shard)
        table = stored_classes(reader)
        labelled += len(reader.image_ids)
        failed += len(reader.failed)
        for _, rows in reader:
            scored += bool(rows)
            for row in rows:
                method, part = row["method"], ConfusionMatrix.from_list(table, row["confusion"])
                known = confusions.get(method)
                confusions[method] = part if known is None else known + part
    return Evaluation(confusions, scored, labelled - scored, failed)


def scored_shards(store: Store) -> list[str]:
    """The registered shards whose metrics are finished, sorted."""
    return [name for name in list_shards(store) if store.is_complete("evaluation_metrics", name)]


def write_report(store: Store, shards: Sequence[str]) -> Evaluation:
    """Add up all shards and write the result as JSON: per method, per class and in total."""
    evaluation = sum_shards(store, shards)
    report = {
        "shards": list(shards),
        "images": evaluation.images,
        "images_without_truth": evaluation.without_truth,
        "images_failed": evaluation.failed,
        "scores": {method: found.to_json() for method, found in evaluation.scores().items()},
    }
    store.write_bytes(REPORT_PATH, json.dumps(report, indent=2).encode())
    return evaluation
