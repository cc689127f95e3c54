"""An image's masks and label map for benchmarks: outlines as SAM's, classes as a segmentor's.

The masks come from planted logits (`sam_like_logits.py`) through the project's own tracer; the
label map from smooth random logits at a quarter of the image's size, as SegFormer gives them.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sam_like_logits import sam_like_logits


class Scene(NamedTuple):
    """Of one image.

    Attributes:
        records: Mask records, with annotations as the segment-anything package gives them.
        annotations: The same as dicts with coco_rle.
        logits: The segmentor's, (C, h, w) float32.
        label_map: (H, W) uint8.
    """

    records: list[Any]
    annotations: list[dict[str, Any]]
    logits: np.ndarray
    label_map: np.ndarray


def sam_like_scene(
    size: tuple[int, int], masks: int = 100, classes: int = 19, cell: int = 150, seed: int = 0
) -> Scene:
    """Draw a scene.

    Args:
        size: Rows and columns.
        masks: How many, nested ones among them, in the order of their points.
        classes: Of the segmentor.
        cell: Distance in pixels between the random values of the segmentor's logits: how fine its
            segments are.
        seed: Of everything.
    """
    from seg_assets.masks.annotations import annotation
    from seg_assets.masks.records import MaskRecord
    from seg_assets.masks.upscaling.traced import Canvas, Stability
    from seg_assets.masks.upscaling.tracer import trace_masks
    from seg_assets.modeling.mask_models.frame import MaskFrame
    from seg_assets.modeling.pixels import scaled_size

    height, width = size
    logits, ious = sam_like_logits(size, 14, seed)
    frame = MaskFrame(size, scaled_size(height, width, 1024), 1024, (256, 256))
    traced = trace_masks(logits.flatten(0, 1), frame, Canvas(*size), Stability(0.0, 1.0, 0.9))
    different = list({mask.rle.counts: mask for mask in traced}.values())
    chosen = np.random.default_rng(seed).permutation(len(different))[:masks]
    if len(chosen) < masks:
        raise SystemExit(f"only {len(chosen)} different masks: ask for fewer")
    records = []
    for mask in (different[i] for i in sorted(chosen)):
        x0, y0, x1, y1 = mask.corners
        box, crop = (x0, y0, x1 - x0, y1 - y0), (0, 0, width, height)
        iou = float(ious.flatten()[mask.index])
        points = ((float(x0), float(y0)),)
        records.append(MaskRecord(mask.rle, box, mask.area, iou, mask.stability, points, crop))
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, classes, height // cell + 2, width // cell + 2, generator=random)
    small = F.interpolate(coarse, (-(-height // 4), -(-width // 4)), mode="bicubic")
    planes = (
        F.interpolate(small[:, c : c + 1], size, mode="bilinear")[0, 0] for c in range(classes)
    )
    best = torch.full(size, -torch.inf)
    label_map = torch.zeros(size, dtype=torch.uint8)
    for label, plane in enumerate(planes):
        label_map[plane > best] = label
        best = torch.maximum(best, plane)
    annotations = [annotation(record, "coco_rle") for record in records]
    return Scene(records, annotations, small[0].numpy(), label_map.numpy())


def describe(scene: Scene) -> str:
    """What is in a scene, in a line."""
    from seg_assets.labels.label_runs import LabelRuns

    height, width = scene.label_map.shape
    covered = sum(record.area for record in scene.records) / scene.label_map.size
    runs = len(LabelRuns.of(scene.label_map).labels)
    size = sum(len(record.rle.counts) for record in scene.records)
    return (
        f"{height} x {width}, {len(scene.records)} masks of {covered:.2f} images in all and "
        f"{size / 1000:.0f} kB of run lengths, {len(scene.logits)} classes, label map of "
        f"{runs / width:.1f} runs per column"
    )
