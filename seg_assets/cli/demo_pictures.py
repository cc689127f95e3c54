"""The demo's pictures: image, regions, labels and truth of each scene, side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seg_assets.classes.mapping import load_class_map
from seg_assets.data.images import read_row
from seg_assets.data.label_maps import label_table, read_label_map
from seg_assets.data.scenes import LABEL_FORMAT
from seg_assets.data.shards import load_shard
from seg_assets.labels.tables import stored_classes
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.region_map import paint_regions
from seg_assets.storage.png import decode_label_map
from seg_assets.storage.store import Store
from seg_assets.viz.contact_sheet import legend, side_by_side
from seg_assets.viz.encode import png_bytes
from seg_assets.viz.overlay import draw_regions, overlay

TITLES = ["image", "SAM's regions", "merged map", "ground truth", "classes"]
MAX_BYTES = 4_000_000


def draw_pictures(store: Store, shards: Sequence[str], folder: Path) -> list[Path]:
    """Write one PNG per labelled scene.

    Args:
        store: with the finished shards.
        shards: their names.
        folder: where the pictures go.

    Returns:
        The files, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for shard in shards:
        images = store.open_shard("raw_images", shard)
        masks = store.open_shard("sam_masks", shard)
        maps = store.open_shard("merged_maps", shard)
        merge = load_class_map(label_table(LABEL_FORMAT), stored_classes(maps))
        truths = {i.image_id: i.label_uri for i in load_shard(store, shard).images if i.label_uri}
        for image_id in maps.image_ids:
            pixels = read_row(images.rows(image_id)[0])
            records = [MaskRecord.from_row(record) for record in masks.rows(image_id)]
            regions = paint_regions(records, *pixels.shape[:2]).ids
            labels = decode_label_map(maps.rows(image_id)[0]["label_map"]["bytes"])
            truth = merge.apply(read_label_map(truths[image_id], LABEL_FORMAT), where=image_id)
            present = np.union1d(labels, truth)
            names = legend(merge.target, present[present != merge.target.ignore_id], size=15)
            sheet = side_by_side(
                [
                    pixels,
                    draw_regions(pixels, regions),
                    overlay(pixels, labels, merge.target, alpha=0.8),
                    overlay(pixels, truth, merge.target, alpha=0.8),
                    _on_paper(names, pixels.shape[0]),
                ],
                TITLES,
            )
            file = folder / f"{image_id.replace('/', '_')}.png"
            file.write_bytes(png_bytes(sheet, max_bytes=MAX_BYTES))
            files.append(file)
    return files


def _on_paper(picture: np.ndarray, height: int) -> np.ndarray:
    """The picture at the top of a white sheet of at least `height` rows."""
    missing = max(height - picture.shape[0], 0)
    return np.pad(picture, ((0, missing), (0, 0), (0, 0)), constant_values=255)
