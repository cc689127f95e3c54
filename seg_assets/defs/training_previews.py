"""Pictures of training data for the Dagster UI, drawn from what the steps have stored."""

import dagster as dg
import numpy as np

from seg_assets.data.images import read_row
from seg_assets.data.panoptic.panoptic_png import decode_panoptic
from seg_assets.defs.previews import PICTURES, picture, small
from seg_assets.stages.training_categories import load_categories
from seg_assets.stages.training_data import referral_of_row
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.store import Store

SENTENCES = 2  # pictures of one image, each for another segment


def training_panoptic(store: Store, shard: str) -> dg.MetadataValue:
    """Images beside their segments, each segment in a colour of its own."""
    from seg_assets.viz.contact_sheet import contact_sheet  # noqa: PLC0415  # loads fonts
    from seg_assets.viz.overlay import draw_regions  # noqa: PLC0415

    images = store.open_shard("raw_images", shard)
    panoptic = store.open_shard("training_panoptic", shard)
    rows, captions = [], []
    for image_id in panoptic.image_ids[:PICTURES]:
        pixels = read_row(images.rows(image_id)[0])
        row = panoptic.rows(image_id)[0]
        ids = decode_panoptic(row["panoptic"]["bytes"], image_id)
        # ids are colours, up to 2^24; the drawing wants 1, 2, 3 ...
        present, numbers = np.unique(ids, return_inverse=True)
        numbers = numbers.reshape(ids.shape).astype(np.int32) + int(present[0] != 0)
        rows.append([small(pixels), small(draw_regions(pixels, numbers))])
        crowds = sum(segment["iscrowd"] for segment in row["segments"])
        captions.append(f"{image_id}: {len(row['segments'])} segments, crowds among them: {crowds}")
    return picture(contact_sheet(rows, captions, titles=["image", "segments"]))


def training_semantic(store: Store, shard: str) -> dict[str, dg.MetadataValue]:
    """Images beside their training ids, and the legend with each category's share of the pixels."""
    from seg_assets.viz.contact_sheet import contact_sheet, legend  # noqa: PLC0415
    from seg_assets.viz.overlay import overlay  # noqa: PLC0415

    images = store.open_shard("raw_images", shard)
    semantic = store.open_shard("training_semantic", shard)
    table = load_categories(store).to_class_table("training")
    rows, captions = [], []
    pixels_of = np.zeros(256, dtype=np.int64)
    for image_id in semantic.image_ids[:PICTURES]:
        pixels = read_row(images.rows(image_id)[0])
        label_map = decode_label_map(semantic.rows(image_id)[0]["label_map"]["bytes"])
        pixels_of += np.bincount(label_map.ravel(), minlength=256)
        rows.append([small(pixels), small(overlay(pixels, label_map, table, alpha=0.75))])
        captions.append(image_id)
    if not rows:
        return {}
    order = np.argsort(-pixels_of, kind="stable").tolist()
    known = [i for i in order if pixels_of[i] and i != table.ignore_id]
    return {
        "preview": picture(contact_sheet(rows, captions, titles=["image", "training ids"])),
        "legend": picture(legend(table, known, shares=pixels_of[known] / pixels_of.sum())),
    }


def training_grounding(store: Store, shard: str) -> dg.MetadataValue:
    """Images with one segment lit, over the first sentence that means it."""
    from seg_assets.viz.contact_sheet import contact_sheet  # noqa: PLC0415
    from seg_assets.viz.overlay import draw_regions  # noqa: PLC0415

    images = store.open_shard("raw_images", shard)
    grounding = store.open_shard("training_grounding", shard)
    rows, captions = [], []
    for image_id in grounding.image_ids[:PICTURES]:
        pixels = read_row(images.rows(image_id)[0])
        said = sorted(
            grounding.rows(image_id), key=lambda row: (-len(row["sentences"]), -row["area"])
        )
        cells, texts = [], []
        for row in said[:SENTENCES]:
            mask = referral_of_row(row).mask(*pixels.shape[:2])
            dimmed = np.where(mask[..., None], pixels, pixels // 2)
            cells.append(small(draw_regions(dimmed, mask.astype(np.int32), alpha=0.35)))
            texts.append(row["sentences"][-1])
        rows.append(cells or [small(pixels)])
        captions.append(" | ".join(texts) or f"{image_id}: nothing is said")
    return picture(contact_sheet(rows, captions))
