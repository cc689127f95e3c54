"""evaluation_metrics: merged maps against ground truth; evaluation_report: all shards together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from seg_assets.classes.mapping import load_class_map
from seg_assets.classes.table import load_class_table
from seg_assets.data.label_maps import label_table, read_label_map
from seg_assets.data.shards import Shard, list_shards
from seg_assets.errors import StoreError
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
from seg_assets.storage.store import Store

REPORT_PATH = "evaluation_report/report.json"


def score_merged_maps(
    store: Store,
    shard: Shard,
    *,
    recompute: bool = False,
) -> StageReport:
    """Write a confusion matrix per image that has ground truth.

    The ground truth is brought into the prediction's classes first. An image without ground truth
    gives no row; the report counts it.

    Args:
        store: where `merged_maps` of the shard lies.
        shard: the shard's definition, which says where its ground truth lies and how it is written.
        recompute: do finished images anew.

    Raises:
        InputError: the ground truth has no class map into the prediction's classes.
        StoreError: the maps are missing, or the shard was registered with other images since.
    """
    merged_maps = store.open_shard("merged_maps", shard.name)
    classes = merged_maps.manifest.provenance["classes"]
    prediction_map = load_class_map(classes, classes)
    truth_map = None
    if shard.label_format is not None:
        truth_map = load_class_map(label_table(shard.label_format), classes)
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
                prediction = decode_label_map(merged_maps.rows(image_id)[0]["label_map"]["bytes"])
                truth = read_label_map(label_uri, shard.label_format)
            with watch.time("compare"):
                confusion = compare(
                    prediction,
                    truth,
                    prediction_map=prediction_map,
                    truth_map=truth_map,
                    where=image_id,
                )
            row = {
                "image_id": image_id,
                "table": classes,
                "pixels": int(truth.size),
                "ignored": int(truth.size) - confusion.pixels,
                "confusion": confusion.to_list(),
            }
            return {"evaluation_metrics": [row]}

        return score

    return run_stage(
        store,
        shard.name,
        ["evaluation_metrics"],
        merged_maps.image_ids,
        {
            "table": classes,
            "label_format": shard.label_format,
            "labels": sha256_of([[i, label_uris[i]] for i in merged_maps.image_ids]),
            "truth_map": truth_map.digest if truth_map is not None else None,
            "upstream": upstream(merged_maps),
        },
        prepare,
        images_per_part=LIGHT_IMAGES_PER_PART,
        recompute=recompute,
    )


@dataclass(frozen=True)
class Evaluation:
    """Sums over images, shards or machines; `scores` divides once at the end.

    Attributes:
        confusion: summed over all images with ground truth; None when there is none.
        images: images with ground truth.
        without_truth: labelled images without ground truth.
        failed: images that could not be scored.
    """

    confusion: ConfusionMatrix | None
    images: int
    without_truth: int
    failed: int

    def scores(self) -> SemanticScores | None:
        """The metrics of the sums, or None without any ground truth."""
        return semantic_scores(self.confusion) if self.confusion is not None else None


def sum_shards(store: Store, shards: Sequence[str]) -> Evaluation:
    """Add up `evaluation_metrics` of the given shards."""
    confusion: ConfusionMatrix | None = None
    scored = labelled = failed = 0
    for shard in shards:
        reader = store.open_shard("evaluation_metrics", shard)
        table = load_class_table(reader.manifest.provenance["table"])
        labelled += len(reader.image_ids)
        failed += len(reader.failed)
        for _, rows in reader:
            for row in rows:
                part = ConfusionMatrix.from_list(table, row["confusion"])
                confusion = part if confusion is None else confusion + part
                scored += 1
    return Evaluation(confusion, scored, labelled - scored, failed)


def scored_shards(store: Store) -> list[str]:
    """The registered shards whose metrics are finished, sorted."""
    return [name for name in list_shards(store) if store.is_complete("evaluation_metrics", name)]


def write_report(store: Store, shards: Sequence[str]) -> Evaluation:
    """Add up all shards and write the result as JSON, per class and in total."""
    evaluation = sum_shards(store, shards)
    scores = evaluation.scores()
    report = {
        "shards": list(shards),
        "images": evaluation.images,
        "images_without_truth": evaluation.without_truth,
        "images_failed": evaluation.failed,
        "scores": scores.to_json() if scores is not None else None,
    }
    store.write_bytes(REPORT_PATH, json.dumps(report, indent=2).encode())
    return evaluation
