"""The files of a report: report.json, per_class.csv, and index.html with charts and pictures."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seg_assets.evaluation.page import class_rows, render_page
from seg_assets.evaluation.report import report_of
from seg_assets.evaluation.tally import RatedImage, Tally
from seg_assets.metrics.semantic import SemanticScores
from seg_assets.viz.charts import bar_chart, confusion_chart
from seg_assets.viz.encode import jpeg_bytes

PICTURE_BYTES = 250_000


def report_files(
    tally: Tally,
    titles: Mapping[str, str],
    pictures: Sequence[tuple[RatedImage, np.ndarray]],
    about: Mapping[str, Any],
) -> dict[str, bytes]:
    """Write the report.

    Args:
        tally: what was added up.
        titles: what methods are called.
        pictures: (H, W, 3) uint8 RGB of the worst images.
        about: what report.json says besides, such as the shards.

    Returns:
        The files by name.
    """
    report = {**about, **report_of(tally)}
    heads, rows = class_rows(report, titles)
    page = render_page(
        report,
        titles,
        charts=_charts(tally, titles),
        worst=[(_caption(image, titles), jpeg_bytes(p, PICTURE_BYTES)) for image, p in pictures],
    )
    return {
        "report.json": json.dumps(report, indent=2).encode(),
        "per_class.csv": _csv([heads, *rows]),
        "index.html": page.encode(),
    }


def _charts(tally: Tally, titles: Mapping[str, str]) -> dict[str, bytes]:
    charts = {}
    label_sets = tally.label_sets
    for method, scores in tally.scores().items():
        title, table = titles.get(method, method), scores.table
        if not charts:
            charts[f"IoU per class, {title}"] = iou_chart(scores)
        counts = label_sets[method].confusion.counts
        charts[f"Confusion, {title}"] = confusion_chart(counts, table)
    return charts


def iou_chart(scores: SemanticScores, *, title: str = "") -> bytes:
    """Draw the IoU of each class that has one, in the classes' colours, as PNG."""
    rated = [
        (scores.table.classes[row["id"]], row["iou"])
        for row in scores.rows()
        if row["iou"] is not None
    ]
    return bar_chart(
        [item.name for item, _ in rated],
        [iou for _, iou in rated],
        colors=[item.color for item, _ in rated],
        title=title,
        limit=1.0,
    )


def _caption(image: RatedImage, titles: Mapping[str, str]) -> str:
    where = f"{image.shard}: " if image.shard else ""
    who = titles.get(image.method, image.method)
    return f"{where}{image.image_id}, {image.accuracy:.1%} of the pixels right ({who})"


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
