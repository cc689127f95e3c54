"""The report as one HTML file that needs nothing beside it: tables, charts, the worst images."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; margin: 0.8em 0; }
th, td { padding: 0.2em 0.7em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
th { background: #f4f4f4; } td.best { font-weight: 600; }
img { max-width: 100%; } figure { margin: 1em 0; } figcaption { color: #555; }
.note { color: #555; } .charts { display: flex; flex-wrap: wrap; gap: 1em; }
.charts figure { flex: 1 1 45%; margin: 0; }
"""

SOME_SHARDS = 10
"""Named on the page; report.json names all."""

Cell = str | int | float | None

# What the table of label sets shows: title, and where the number lies in the report.
TOTALS = (
    ("mIoU", "scores", ("miou",)),
    ("mIoU of what it can name", "scores", ("miou_nameable",)),
    ("fwIoU", "scores", ("fwiou",)),
    ("mAcc", "scores", ("macc",)),
    ("aAcc", "scores", ("aacc",)),
    ("boundary IoU", "boundary", ("iou",)),
    ("boundary F", "boundary", ("image_f",)),
    ("PQ", "panoptic", ("all", "pq")),
    ("PQ things", "panoptic", ("things", "pq")),
    ("PQ stuff", "panoptic", ("stuff", "pq")),
    ("AP", "instances", ("AP",)),
    ("AP50", "instances", ("AP_50",)),
)


def total_rows(
    report: Mapping[str, Any], titles: Mapping[str, str]
) -> tuple[list[str], list[list[Cell]]]:
    """The label sets side by side.

    Args:
        report: as `report_of` gives it.
        titles: what methods are called.

    Returns:
        The heads of the columns, and a row per method; numbers that no method has are left out.
        Where methods lack images, which then are not scored on the same ones, the last column says
        how many each has.
    """
    methods = list(report["scores"])
    columns: list[tuple[str, Sequence[Cell]]] = []
    for title, part, keys in TOTALS:
        values = [_at(report[part].get(method), keys) for method in methods]
        if any(value is not None for value in values):
            columns.append((title, values))
    images = [report["images_per_method"][method] for method in methods]
    if len(set(images)) > 1:
        columns.append(("images", images))
    heads = ["labels", *(title for title, _ in columns)]
    return heads, [
        [titles.get(method, method), *(values[i] for _, values in columns)]
        for i, method in enumerate(methods)
    ]


def class_rows(
    report: Mapping[str, Any], titles: Mapping[str, str]
) -> tuple[list[str], list[list[Cell]]]:
    """IoU per class of all label sets side by side; more numbers of the first one.

    Classes that neither occur nor are predicted are left out.
    """
    methods = list(report["scores"])
    if not methods:
        return [], []
    per_method = [report["scores"][method]["classes"] for method in methods]
    boundary = report["boundary"].get(methods[0], {}).get("classes")
    panoptic = report["panoptic"].get(methods[0], {}).get("classes")
    heads = ["class", *(f"IoU {titles.get(method, method)}" for method in methods)]
    heads += ["accuracy", "precision"]
    heads += ["boundary F"] if boundary else []
    heads += ["PQ"] if panoptic else []
    heads += ["true pixels"]
    rows: list[list[Cell]] = []
    for i, first in enumerate(per_method[0]):
        ious = [classes[i]["iou"] for classes in per_method]
        if all(iou is None for iou in ious):
            continue
        row: list[Cell] = [first["name"], *ious, first["accuracy"], first["precision"]]
        row += [boundary[i]["image_f"]] if boundary else []
        row += [panoptic[i]["pq"]] if panoptic else []
        rows.append([*row, first["truth_pixels"]])
    return heads, rows


def unnameable(report: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """A sentence for each label set whose own classes do not lead to all that the truth holds."""
    return [
        f"{titles.get(method, method)} has no class that becomes "
        f"{', '.join(scores['cannot_name'])}: its mIoU counts them as 0"
        for method, scores in report["scores"].items()
        if scores["cannot_name"]
    ]


def mask_rows(masks: Mapping[str, Any]) -> list[list[Cell]]:
    """What the masks allow, line by line."""
    rows: list[list[Cell]] = [
        ["mIoU if each region had its true class", masks["oracle"]["miou"]],
        ["share of the labelled pixels in regions", masks["coverage"]],
        ["share of these in their region's most frequent class", masks["pixel_purity"]],
        ["the same, each region counting alike", masks["region_purity"]],
        ["undersegmentation error", masks["undersegmentation"]],
        ["regions per true segment", masks["regions_per_segment"]],
    ]
    for row in masks["recall"] or ():
        what = f"{row['size']} objects ({row['objects']})"
        rows.append([f"mean IoU of the best mask, {what}", row["mean_iou"]])
        rows.append([f"found at IoU 0.5 and more, {what}", row["recall_50"]])
        rows.append([f"average recall at IoU 0.5 to 0.95, {what}", row["recall"]])
    return [row for row in rows if row[1] is not None]


def shard_lines(report: Mapping[str, Any]) -> list[str]:
    """Which shards the numbers are of, and what is wrong with that; nothing without shards."""
    lines = []
    for key, what in (
        ("shards", "Of the shards"),
        ("shards_not_scored", "Not in these numbers, because they are not scored yet"),
        ("shards_outdated", "Scored before their maps were made anew: score them again"),
    ):
        names = report.get(key, ())
        if names:
            some = ", ".join(names[:SOME_SHARDS])
            more = f" and {len(names) - SOME_SHARDS} more" if len(names) > SOME_SHARDS else ""
            lines.append(f"{what}: {some}{more}.")
    return lines


def render_page(
    report: Mapping[str, Any],
    titles: Mapping[str, str],
    *,
    charts: Mapping[str, bytes],
    worst: Sequence[tuple[str, bytes]],
) -> str:
    """Write the page.

    Args:
        report: as `report_of` gives it, with what `stages.evaluation_origin` says beside it.
        titles: what methods are called.
        charts: PNG by caption.
        worst: caption and JPEG of each of the worst images.
    """
    parts = ["<h1>Evaluation</h1>", f"<p>{report['images']} images compared.</p>"]
    parts += [f"<p>{escape(line)}</p>" for line in shard_lines(report)]
    if report["missing"]:
        parts.append("<h2>Not compared</h2>")
        parts.append(
            _table(
                ["reason", "images", "such as"],
                [
                    [reason, found["count"], "; ".join(found["examples"])]
                    for reason, found in report["missing"].items()
                ],
            )
        )
    if report["scores"]:
        (table,) = {scores["table"] for scores in report["scores"].values()}
        parts.append(f"<h2>Label sets, in {escape(table)}</h2>")
        parts.append(_table(*total_rows(report, titles), best=True))
        parts += [f'<p class="note">{escape(note)}</p>' for note in unnameable(report, titles)]
        parts.append("<h2>Per class</h2>")
        first = titles.get(next(iter(report["scores"])), next(iter(report["scores"])))
        parts.append(f'<p class="note">Columns after the IoU are of {escape(first)}.</p>')
        parts.append(_table(*class_rows(report, titles)))
    if models := report.get("models"):
        parts.append("<h2>Made with</h2>")
        rows = [[m["asset"], m["model"], m["checkpoint"], m["shards"]] for m in models]
        parts.append(_table(["asset", "model", "checkpoint (SHA-256)", "shards"], rows))
    if report["masks"]:
        parts.append("<h2>What the masks allow</h2>")
        parts.append(_table(["SAM's masks", "value"], mask_rows(report["masks"])))
    if charts:
        figures = [_figure(caption, png, "png") for caption, png in charts.items()]
        parts.append(f'<div class="charts">{"".join(figures)}</div>')
    if worst:
        parts.append("<h2>The worst images</h2>")
        parts += [_figure(caption, jpeg, "jpeg") for caption, jpeg in worst]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, best: bool = False) -> str:
    """A table; `best` sets the largest number of each column in bold."""
    rows = list(rows)
    highest = [
        max((value for row in rows if isinstance(value := row[i], float)), default=None)
        for i in range(len(heads))
    ]
    lines = ["<table><tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
    for row in rows:
        cells = []
        for value, top in zip(row, highest, strict=True):
            mark = ' class="best"' if best and len(rows) > 1 and value == top else ""
            cells.append(f"<td{mark}>{escape(_text(value))}</td>")
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join(lines) + "</table>"


def _figure(caption: str, data: bytes, kind: str) -> str:
    encoded = base64.b64encode(data).decode()
    return (
        f'<figure><img src="data:image/{kind};base64,{encoded}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _text(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else value


def _at(values: Any, keys: tuple[str, ...]) -> float | None:
    for key in keys:
        if values is None:
            return None
        values = values.get(key)
    return values
