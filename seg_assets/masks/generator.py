"""Segment everything: a grid of point prompts, and the good and distinct ones of their masks.

The records are those of `SamAutomaticMaskGenerator` of the segment-anything package. Other than
there, no mask is upscaled whose predicted quality is too low, few masks exist at full resolution at
any time, and an image or a crop without masks is a normal result.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.masks.crops import Crop, plan_crops, point_grids
from seg_assets.masks.embedding import (
    ImageEmbedding,
    check_rgb,
    decode_prompts,
    embed_image,
    masks_at_once,
    upscale_logits,
)
from seg_assets.masks.filters import distinct_boxes, drop_small_islands, fill_small_holes
from seg_assets.masks.params import MaskParams
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import Rle
from seg_assets.modeling.sam import load_sam


@dataclass(frozen=True)
class _Candidate:
    """A mask on its way through the filters."""

    rle: Rle
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]
    crop: Crop


class MaskGenerator:
    """Finds all masks in an image, one image after the other."""

    def __init__(self, sam: Sam, params: MaskParams | None = None) -> None:
        """Take a model in evaluation mode, and the reference's parameters if none are given."""
        self.sam = sam
        self.params = params or MaskParams()
        self._grids = point_grids(self.params)

    def generate(self, image: np.ndarray) -> list[MaskRecord]:
        """Find the masks of an image.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            Masks, best first: by predicted IoU; with crop layers, those from smaller crops first;
            with min_mask_region_area, those that needed no repair first. May be empty.

        Raises:
            InputError: The array is no RGB image.
        """
        check_rgb(image)
        params = self.params
        height, width = image.shape[:2]
        crops = plan_crops(height, width, params.crop_n_layers, params.crop_overlap_ratio)

        found = [candidate for crop in crops for candidate in self._masks_of_crop(image, crop)]
        if len(crops) > 1:
            found = _distinct_between_crops(found, params.crop_nms_thresh)
        if params.min_mask_region_area > 0:
            threshold = max(params.box_nms_thresh, params.crop_nms_thresh)
            found = _without_small_regions(found, params.min_mask_region_area, threshold)
        return [_record(candidate) for candidate in found]

    def _masks_of_crop(self, image: np.ndarray, crop: Crop) -> list[_Candidate]:
        """Masks that a crop's points find in it, without duplicates, in the image's frame."""
        embedding = embed_image(self.sam, image[crop.y0 : crop.y1, crop.x0 : crop.x1])
        points = self._grids[crop.layer] * [crop.x1 - crop.x0, crop.y1 - crop.y0]
        step = self.params.points_per_batch
        found = [
            candidate
            for start in range(0, len(points), step)
            for candidate in self._masks_of_points(
                embedding, points[start : start + step], crop, image.shape[:2]
            )
        ]
        kept = distinct_boxes(
            [candidate.rle.corners for candidate in found],
            [candidate.predicted_iou for candidate in found],
            self.params.box_nms_thresh,
        )
        return [found[i] for i in kept]

    def _masks_of_points(
        self, embedding: ImageEmbedding, points: np.ndarray, crop: Crop, image_size: tuple[int, int]
    ) -> Iterator[_Candidate]:
        """Decode one batch of points and pass its masks through the quality filters."""
        coordinates = torch.from_numpy(embedding.to_input(points)).to(self.sam.device)[:, None]
        labels = torch.ones(coordinates.shape[:2], dtype=torch.int, device=self.sam.device)
        # Three nested candidates of each point, (N, 3, h, w) and (N, 3).
        logits, ious = decode_prompts(
            self.sam, embedding, points=coordinates, labels=labels, multimask=True
        )
        logits, ious = logits.flatten(0, 1), ious.flatten()  # (N * 3, h, w), (N * 3,)
        sources = torch.arange(len(points), device=ious.device).repeat_interleave(3)

        good = ~ious.isnan()
        if self.params.pred_iou_thresh > 0:
            good &= ious > self.params.pred_iou_thresh
        logits, ious, sources = logits[good], ious[good], sources[good]

        at_once = masks_at_once(self.sam, embedding)
        for start in range(0, len(logits), at_once):
            chunk = slice(start, start + at_once)
            for i, mask, stability in self._stable_masks(embedding, logits[chunk]):
                rle = _encode_in_image(mask, crop, image_size)
                if crop.cuts(rle.corners, *image_size):
                    continue
                x, y = points[int(sources[start + i])]
                yield _Candidate(
                    rle=rle,
                    predicted_iou=float(ious[start + i]),
                    stability_score=stability,
                    point=(float(x) + crop.x0, float(y) + crop.y0),
                    crop=crop,
                )

    def _stable_masks(
        self, embedding: ImageEmbedding, logits: torch.Tensor
    ) -> Iterator[tuple[int, np.ndarray, float]]:
        """Index, (H, W) bool mask and stability of those low-resolution logits that are stable."""
        full = upscale_logits(self.sam, embedding, logits)
        threshold, offset = self.sam.mask_threshold, self.params.stability_score_offset
        # The tighter mask lies inside the looser one, so their areas are intersection and union.
        tight = (full > threshold + offset).sum((1, 2))
        loose = (full > threshold - offset).sum((1, 2))
        stability = tight / loose
        # An empty mask has stability 0 or, where even the looser one is empty, NaN.
        stable = stability >= self.params.stability_score_thresh
        for i in stable.nonzero().flatten().tolist():
            mask = (full[i] > threshold).cpu().numpy()
            if mask.any():
                yield i, mask, float(stability[i])


def load_mask_generator(
    name: str, params: MaskParams | None = None, device: str | torch.device = "cpu"
) -> MaskGenerator:
    """A generator with the SAM that the model manifest calls `name`.

    Raises:
        InputError: The manifest has no such SAM, or the device is not there.
        CheckpointError: The weights are missing, damaged or do not fit.
    """
    return MaskGenerator(load_sam(name, device).model, params)


def _encode_in_image(mask: np.ndarray, crop: Crop, image_size: tuple[int, int]) -> Rle:
    """Encode a crop's mask at the image's size."""
    if mask.shape == image_size:
        return Rle.encode(mask)
    whole = np.zeros(image_size, np.bool_)
    whole[crop.y0 : crop.y1, crop.x0 : crop.x1] = mask
    return Rle.encode(whole)


def _distinct_between_crops(found: list[_Candidate], iou_threshold: float) -> list[_Candidate]:
    """Drop duplicates from different crops; smaller crops saw more detail, so theirs stay."""
    kept = distinct_boxes(
        [candidate.rle.corners for candidate in found],
        [1 / candidate.crop.area for candidate in found],
        iou_threshold,
    )
    return [found[i] for i in kept]


def _without_small_regions(
    found: list[_Candidate], min_area: int, iou_threshold: float
) -> list[_Candidate]:
    """Fill small holes, drop small islands, then drop what has become a duplicate by that."""
    cleaned: list[_Candidate] = []
    untouched: list[float] = []
    for candidate in found:
        mask, filled = fill_small_holes(candidate.rle.decode(), min_area)
        mask, dropped = drop_small_islands(mask, min_area)
        changed = filled or dropped
        cleaned.append(replace(candidate, rle=Rle.encode(mask)) if changed else candidate)
        untouched.append(float(not changed))
    kept = distinct_boxes(
        [candidate.rle.corners for candidate in cleaned], untouched, iou_threshold
    )
    return [cleaned[i] for i in kept]


def _record(candidate: _Candidate) -> MaskRecord:
    x0, y0, x1, y1 = candidate.rle.corners
    crop = candidate.crop
    return MaskRecord(
        rle=candidate.rle,
        bbox=(x0, y0, x1 - x0, y1 - y0),
        area=candidate.rle.area,
        predicted_iou=candidate.predicted_iou,
        stability_score=candidate.stability_score,
        point_coords=(candidate.point,),
        crop_box=(crop.x0, crop.y0, crop.x1 - crop.x0, crop.y1 - crop.y0),
    )
