"""Small pictures and numbers for the Dagster UI, read back from what a stage has stored."""

import base64

import dagster as dg
import numpy as np
import pyarrow.compute as pc

from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.data.images import read_row
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
from seg_assets.stages.evaluation import Evaluation
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.store import Store

PICTURES = 4
HEIGHT = 200
MAX_BYTES = 150_000


def raw_images(store: Store, shard: str) -> dg.MetadataValue:
    """The first images of the shard."""
    from seg_assets.viz.contact_sheet import contact_sheet  # noqa: PLC0415  # loads fonts

    images = store.open_shard("raw_images", shard)
    chosen = images.image_ids[: 2 * PICTURES]
    pixels = [read_row(images.rows(image_id)[0]) for image_id in chosen]
    rows = [pixels[:PICTURES], pixels[PICTURES:]]
    return _picture(contact_sheet(rows, [f"{chosen[0]} ..."] if chosen else [], cell_height=HEIGHT))


def sam_masks(store: Store, shard: str) -> dg.MetadataValue:
    """Images beside their regions, each region in a colour of its own."""
    from seg_assets.viz.contact_sheet import contact_sheet  # noqa: PLC0415
    from seg_assets.viz.overlay import draw_regions  # noqa: PLC0415

    images = store.open_shard("raw_images", shard)
    masks = store.open_shard("sam_masks", shard)
    rows, captions = [], []
    for image_id in masks.image_ids[:PICTURES]:
        pixels = read_row(images.rows(image_id)[0])
        records = [MaskRecord.from_row(row) for row in masks.rows(image_id)]
        regions = paint_regions(records, *pixels.shape[:2])
        rows.append([pixels, draw_regions(pixels, regions.ids)])
        captions.append(f"{image_id}: {len(records)} masks")
    return _picture(
        contact_sheet(rows, captions, titles=["image", "regions"], cell_height=HEIGHT)
    )


def mask_numbers(store: Store, shard: str) -> dict[str, float]:
    """Masks per image and the mean of their scores."""
    reader = store.open_shard("sam_masks", shard)
    table = reader.read(columns=["predicted_iou", "stability_score"])
    numbers = {"masks_per_image": table.num_rows / max(len(reader.image_ids), 1)}
    for column in table.column_names if table.num_rows else []:
        numbers[f"mean_{column}"] = round(pc.mean(table[column]).as_py(), 4)
    return numbers


def seem(store: Store, shard: str, asset: str) -> dict[str, object]:
    """Pictures of SEEM's own maps; for regions, how sure the labels are and what they cover."""
    if asset == "seem_labels":
        return label_maps(store, shard, "seem_labels")
    if asset != "region_labels":
        return {}
    reader = store.open_shard("region_labels", shard)
    table = reader.read(columns=["area", "class_id", "score", "margin", "vote_share", "fallback"])
    sizes = store.open_shard("raw_images", shard).read(columns=["image_id", "width", "height"])
    done = pc.is_in(sizes["image_id"], value_set=_strings(reader.image_ids))
    pixels = pc.sum(pc.multiply(sizes["width"], sizes["height"]).filter(done)).as_py() or 0
    numbers: dict[str, object] = {
        "regions_per_image": table.num_rows / max(len(reader.image_ids), 1),
        "coverage": round((pc.sum(table["area"]).as_py() or 0) / max(pixels, 1), 4),
    }
    if table.num_rows:
        for column in ("score", "margin", "vote_share"):
            numbers[f"mean_{column}"] = round(pc.mean(table[column]).as_py(), 4)
        fallback = pc.mean(table["fallback"].cast("int8")).as_py()
        numbers["fallback_share"] = round(fallback, 4)
        numbers["regions_per_class"] = dg.MetadataValue.md(_class_counts(table["class_id"]))
    return numbers


def label_maps(store: Store, shard: str, asset: str) -> dict[str, object]:
    """Images beside their label maps, and the legend with each class's share of these pixels."""
    from seg_assets.viz.contact_sheet import contact_sheet, legend  # noqa: PLC0415
    from seg_assets.viz.overlay import overlay  # noqa: PLC0415

    images = store.open_shard("raw_images", shard)
    reader = store.open_shard(asset, shard)
    table = map_classes(store, shard, asset)
    rows, captions = [], []
    pixels_of = np.zeros(256, dtype=np.int64)
    for image_id in reader.image_ids[:PICTURES]:
        pixels = read_row(images.rows(image_id)[0])
        label_map = decode_label_map(reader.rows(image_id)[0]["label_map"]["bytes"])
        pixels_of += np.bincount(label_map.ravel(), minlength=256)
        rows.append([pixels, overlay(pixels, label_map, table, alpha=0.75)])
        captions.append(image_id)
    if not rows:
        return {}
    present = [i for i in np.argsort(-pixels_of, kind="stable").tolist() if pixels_of[i]]
    known = [i for i in present if i != table.ignore_id]
    shares = pixels_of[known] / pixels_of.sum()
    titles = ["image", asset.replace("_", " ")]
    return {
        "preview": _picture(contact_sheet(rows, captions, titles=titles, cell_height=HEIGHT)),
        "legend": _picture(legend(table, known, shares=shares)),
    }


def map_classes(store: Store, shard: str, asset: str) -> ClassTable:
    """The class table of a stored label map."""
    if asset == "merged_maps":
        return load_class_table(store.open_shard(asset, shard).manifest.provenance["classes"])
    return load_class_table("base28")


def evaluation(result: Evaluation) -> dict[str, object]:
    """Total scores as numbers that Dagster plots, per class as a table and pictures."""
    numbers: dict[str, object] = {
        "images_with_truth": result.images,
        "images_without_truth": result.without_truth,
    }
    scores = result.scores()
    if scores is None or result.confusion is None:
        return numbers
    from seg_assets.viz.charts import bar_chart, confusion_chart  # noqa: PLC0415  # matplotlib

    for name in ("miou", "fwiou", "macc", "aacc"):
        numbers[name] = round(float(getattr(scores, name)), 4)
    rows = [row for row in scores.rows() if row["iou"] is not None]
    lines = ["| class | IoU | accuracy | precision |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row['name']} | {_number(row['iou'])} | {_number(row['accuracy'])} "
        f"| {_number(row['precision'])} |"
        for row in rows
    ]
    numbers["per_class"] = dg.MetadataValue.md("\n".join(lines))
    table = result.confusion.table
    numbers["iou_chart"] = _png(
        bar_chart(
            [row["name"] for row in rows],
            [row["iou"] for row in rows],
            colors=[table.classes[row["id"]].color for row in rows],
            title="IoU per class",
        )
    )
    numbers["confusion_chart"] = _png(confusion_chart(result.confusion.counts, table))
    return numbers


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _class_counts(column) -> str:
    table = load_class_table("base28")
    counts = sorted(
        ((entry["counts"], entry["values"]) for entry in pc.value_counts(column).to_pylist()),
        reverse=True,
    )
    lines = ["| class | regions |", "| --- | --- |"]
    return "\n".join(lines + [f"| {table.name_of(i)} | {count} |" for count, i in counts])


def _strings(values):
    import pyarrow as pa  # noqa: PLC0415

    return pa.array(list(values), type=pa.string())


def _picture(pixels: np.ndarray) -> dg.MetadataValue:
    from seg_assets.viz.encode import jpeg_bytes  # noqa: PLC0415

    return _inline(jpeg_bytes(pixels, max_bytes=MAX_BYTES), "jpeg")


def _png(data: bytes) -> dg.MetadataValue:
    return _inline(data, "png")


def _inline(data: bytes, kind: str) -> dg.MetadataValue:
    encoded = base64.b64encode(data).decode()
    return dg.MetadataValue.md(f"![preview](data:image/{kind};base64,{encoded})")
