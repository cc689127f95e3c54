"""The masks that `ssa_camvid` votes in: of the small SAM, of superpixels, of the ground truth."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# What each setting of SAM changes from the preset "demo".
SAM_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "SAM, demo": {},
    "SAM, loose": {"pred_iou_thresh": 0.2, "stability_score_thresh": 0.5},
}
SUPERPIXELS = "superpixels"
# Deviation in pixels of the Gaussian that blurs a true segment before it is cut at a half again.
TRUE_SEGMENTS = {"true segments": 0, "true, 2 px": 2, "true, 4 px": 4, "true, 8 px": 8}
SOURCES = (*SAM_SETTINGS, SUPERPIXELS, *TRUE_SEGMENTS)

SUPERPIXEL_SIDE = 8  # pixels between the seeds


def find_masks(source: str, images: Sequence, folder: Path) -> list[list]:
    """The records of each image; SAM's are kept in a folder and taken from there next time."""
    if source == SUPERPIXELS:
        return [superpixels(image) for image in images]
    if source in TRUE_SEGMENTS:
        return [true_segments(image, TRUE_SEGMENTS[source]) for image in images]
    return list(sam_masks(source, images, folder))


def sam_masks(setting: str, images: Sequence, folder: Path) -> Iterable[list]:
    from seg_assets.data.images import read_image
    from seg_assets.masks.generator import load_mask_generator
    from seg_assets.masks.params import MASK_PRESETS, MaskParams
    from seg_assets.masks.records import MaskRecord

    params = MaskParams(**{**MASK_PRESETS["demo"], **SAM_SETTINGS[setting]})
    generator = None
    for image in images:
        name = f"{image.image_id.rsplit('/')[-1]}.json"
        file = folder / setting.replace(", ", "_").replace(" ", "_") / name
        if not file.is_file():
            generator = generator or load_mask_generator("sam_demo", params)
            records = generator.find(read_image(image.uri))
            rows = [record.to_row(image.image_id, i) for i, record in enumerate(records)]
            file.parent.mkdir(parents=True, exist_ok=True)
            scratch = file.with_suffix(".part")
            scratch.write_text(json.dumps(rows, default=bytes.decode))
            scratch.rename(file)
        rows = json.loads(file.read_text())
        yield [
            MaskRecord.from_row({**row, "rle_counts": row["rle_counts"].encode()}) for row in rows
        ]


def superpixels(image: Any) -> list:
    """Watersheds of the image's gradient from a grid of seeds: no network, no knowledge."""
    from scipy import ndimage

    from seg_assets.data.images import read_image

    pixels = read_image(image.uri).astype(np.float32)
    gradient = sum(
        ndimage.gaussian_gradient_magnitude(pixels[..., channel], 1.0) for channel in range(3)
    )
    seeds = np.zeros(gradient.shape, np.int32)
    half = SUPERPIXEL_SIDE // 2
    grid = seeds[half::SUPERPIXEL_SIDE, half::SUPERPIXEL_SIDE]
    grid[:] = np.arange(1, grid.size + 1).reshape(grid.shape)
    levels = (gradient * (255 / gradient.max())).astype(np.uint8)
    return _records(ndimage.watershed_ift(levels, seeds), blur=0)


def true_segments(image: Any, blur: float) -> list:
    """The connected parts of each class in the ground truth, without what a blur takes away.

    Unblurred they are masks that nobody could better. A blur rounds corners and takes thin parts,
    as masks of a network that sees a smaller picture lose them.
    """
    from scipy import ndimage

    truth = read_truth(image)
    classes = np.unique(truth[truth != 255])
    return [
        record
        for class_id in classes
        for record in _records(ndimage.label(truth == class_id)[0], blur)
    ]


def read_truth(image: Any) -> np.ndarray:
    from seg_assets.data.formats.camvid import LABEL_FORMAT
    from seg_assets.data.label_maps import read_label_map

    return read_label_map(str(image.label_uri), LABEL_FORMAT)


def _records(regions: np.ndarray, blur: float) -> list:
    """A record of each region that is left after the blur, (H, W) ids from 1 on."""
    from scipy import ndimage

    from seg_assets.masks.records import MaskRecord
    from seg_assets.masks.rle import Rle

    height, width = regions.shape
    margin = int(4 * blur + 0.5)  # beyond which scipy's Gaussian is zero
    records = []
    for i, (rows, columns) in enumerate(ndimage.find_objects(regions), start=1):
        part = (
            slice(max(0, rows.start - margin), rows.stop + margin),
            slice(max(0, columns.start - margin), columns.stop + margin),
        )
        mask = regions[part] == i
        if blur:
            mask = ndimage.gaussian_filter(mask.astype(np.float32), blur) > 0.5
        whole = np.zeros((height, width), bool, order="F")
        whole[part] = mask
        if mask.any():
            rle = Rle.encode(whole)
            box = (0, 0, width, height)
            records.append(MaskRecord(rle, box, int(mask.sum()), 1.0, 1.0, (), box))
    return records
