"""Small pictures for the Dagster UI, drawn from what a stage has stored."""

import base64

import dagster as dg
import numpy as np
from PIL import Image

from seg_assets.data.images import read_row
from seg_assets.evaluation.tally import Tally
from seg_assets.labels.tables import stored_classes
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
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
    pixels = [small(read_row(images.rows(image_id)[0])) for image_id in chosen]
    rows = [pixels[:PICTURES], pixels[PICTURES:]]
    return picture(contact_sheet(rows, [f"{chosen[0]} ..."] if chosen else []))


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
        rows.append([small(pixels), small(draw_regions(pixels, regions.ids))])
        captions.append(f"{image_id}: {len(records)} masks")
    return picture(contact_sheet(rows, captions, titles=["image", "regions"]))


def label_maps(store: Store, shard: str, asset: str) -> dict[str, dg.MetadataValue]:
    """Images beside their label maps, and the legend with each class's share of these pixels."""
    from seg_assets.viz.contact_sheet import contact_sheet, legend  # noqa: PLC0415
    from seg_assets.viz.overlay import overlay  # noqa: PLC0415

    images = store.open_shard("raw_images", shard)
    reader = store.open_shard(asset, shard)
    table = stored_classes(reader)
    rows, captions = [], []
    pixels_of = np.zeros(256, dtype=np.int64)
    for image_id in reader.image_ids[:PICTURES]:
        pixels = read_row(images.rows(image_id)[0])
        label_map = decode_label_map(reader.rows(image_id)[0]["label_map"]["bytes"])
        pixels_of += np.bincount(label_map.ravel(), minlength=256)
        rows.append([small(pixels), small(overlay(pixels, label_map, table, alpha=0.75))])
        captions.append(image_id)
    if not rows:
        return {}
    present = [i for i in np.argsort(-pixels_of, kind="stable").tolist() if pixels_of[i]]
    known = [i for i in present if i != table.ignore_id]
    shares = pixels_of[known] / pixels_of.sum()
    titles = ["image", asset.replace("_", " ")]
    return {
        "preview": picture(contact_sheet(rows, captions, titles=titles)),
        "legend": picture(legend(table, known, shares=shares)),
    }


def evaluation(tally: Tally) -> dict[str, dg.MetadataValue]:
    """IoU per class and confusion matrix of the first label set; nothing without ground truth."""
    scores = next(iter(tally.scores().values()), None)
    if scores is None:
        return {}
    from seg_assets.evaluation.output import iou_chart  # noqa: PLC0415  # matplotlib
    from seg_assets.viz.charts import confusion_chart  # noqa: PLC0415

    confusion = next(iter(tally.label_sets.values())).confusion
    return {
        "iou_chart": inline(iou_chart(scores, title="IoU per class"), "png"),
        "confusion_chart": inline(confusion_chart(confusion.counts, confusion.table), "png"),
    }


def small(pixels: np.ndarray) -> np.ndarray:
    """Shrink at once: photos of a hundred megapixels must not pile up."""
    height, width = pixels.shape[:2]
    size = (max(round(width * HEIGHT / height), 1), HEIGHT)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def picture(pixels: np.ndarray) -> dg.MetadataValue:
    """(H, W, 3) uint8 RGB as an inline JPEG of at most `MAX_BYTES`."""
    from seg_assets.viz.encode import jpeg_bytes  # noqa: PLC0415

    return inline(jpeg_bytes(pixels, max_bytes=MAX_BYTES), "jpeg")


def inline(data: bytes, kind: str) -> dg.MetadataValue:
    """A picture file as markdown that carries it; `kind` is "jpeg" or "png"."""
    encoded = base64.b64encode(data).decode()
    return dg.MetadataValue.md(f"![preview](data:image/{kind};base64,{encoded})")
