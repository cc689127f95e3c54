"""From an evaluation to the numbers and tables that Dagster shows and plots."""

from typing import Any

import dagster as dg

from seg_assets.evaluation.page import Cell, class_rows, mask_rows, total_rows, unnameable
from seg_assets.evaluation.report import report_of
from seg_assets.evaluation.tally import Tally
from seg_assets.stages.comparison import METHODS

TOTALS = ("miou", "fwiou", "macc", "aacc")
Metadata = dict[str, Any]


def evaluation_metadata(tally: Tally) -> Metadata:
    """Total scores as numbers that Dagster plots; all label sets, classes and masks as tables.

    The numbers of the first label set have plain names; those of others begin with the method's
    name: `seem_miou` and so on.
    """
    report = report_of(tally)
    metadata: Metadata = {
        "images_with_truth": report["images"],
        "images_without_truth": report["images_without_truth"],
        "images_without_prediction": report["images_without_prediction"],
        "images_failed": report["images_failed"],
    }
    if report["missing"]:
        rows = [
            [reason, found["count"], "; ".join(found["examples"])]
            for reason, found in report["missing"].items()
        ]
        metadata["not_compared"] = _table(["reason", "images", "such as"], rows)
    for i, (method, scores) in enumerate(report["scores"].items()):
        prefix = "" if i == 0 else f"{method}_"
        numbers = {name: scores[name] for name in TOTALS}
        if method in report["boundary"]:
            numbers["boundary_iou"] = report["boundary"][method]["iou"]
        if method in report["panoptic"]:
            numbers["pq"] = report["panoptic"][method]["all"]["pq"]
        if method in report["instances"]:
            numbers["ap"] = report["instances"][method]["AP"]
        found = {f"{prefix}{name}": n for name, n in numbers.items() if n is not None}
        metadata |= {name: round(number, 4) for name, number in found.items()}
    if report["scores"]:
        metadata["methods"] = _table(*total_rows(report, METHODS))
        if notes := unnameable(report, METHODS):
            metadata["cannot_name"] = "; ".join(notes)
        metadata["per_class"] = _table(*class_rows(report, METHODS))
    if report["masks"]:
        metadata["masks"] = _table(["SAM's masks", "value"], mask_rows(report["masks"]))
        if (oracle := report["masks"]["oracle"]["miou"]) is not None:
            metadata["oracle_miou"] = round(oracle, 4)
    return metadata


def _table(heads: list[str], rows: list[list[Cell]]) -> dg.MetadataValue:
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " --- |" * (len(heads) - 1)]
    lines += [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell).replace("|", "/")
