"""Segment everything: a grid of point prompts, and the good and distinct ones of their masks.

    from seg_assets.masks.generator import MaskGenerator

    annotations = MaskGenerator(sam, points_per_side=32).generate(image)

`MaskGenerator` takes the arguments of `SamAutomaticMaskGenerator` of the segment-anything package
and gives the same annotations. Other than there, no mask exists at full resolution, and an image or
a crop without masks is a normal result.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.data.images import check_rgb
from seg_assets.masks.annotations import OutputMode, annotation, check_output_mode
from seg_assets.masks.crop_search import Candidate, CropSearch, Finish
from seg_assets.masks.crops import plan_crops, point_grids
from seg_assets.masks.filters import distinct_boxes, repair
from seg_assets.masks.params import MaskParams
from seg_assets.masks.records import MaskRecord
from seg_assets.modeling.mask_models.batches import run_in_batches
from seg_assets.modeling.mask_models.load import as_mask_model, load_mask_model
from seg_assets.modeling.mask_models.protocol import ImageEmbedding, MaskModel

# Views (images, or crops of one) that the encoder sees together.
_VIEWS_ON_GPU, _VIEWS_ON_CPU = 4, 1

Findings = list[Finish]
"""What was found in each crop of one image."""


class MaskGenerator:
    """Finds all masks in an image."""

    def __init__(
        self,
        model: Sam | MaskModel,
        points_per_side: int | None = 32,
        points_per_batch: int | None = 64,
        pred_iou_thresh: float = 0.88,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[Any] | None = None,
        min_mask_region_area: int = 0,
        output_mode: OutputMode = "binary_mask",
    ) -> None:
        """Take a model and the arguments of `SamAutomaticMaskGenerator`.

        Args:
            model: A SAM of the segment-anything package in evaluation mode, or any mask model.
            points_per_side: As all that follow, see `MaskParams`.
            points_per_batch: Most points that are decoded together.
            pred_iou_thresh: Least predicted IoU.
            stability_score_thresh: Least stability.
            stability_score_offset: Shift of the threshold for it.
            box_nms_thresh: Box IoU of duplicates in a crop.
            crop_n_layers: Layers of crops.
            crop_nms_thresh: Box IoU of duplicates from two crops.
            crop_overlap_ratio: Overlap of the crops.
            crop_n_points_downscale_factor: By how much each layer has fewer points per side.
            point_grids: Own points, (N, 2) in 0 to 1 per layer, instead of `points_per_side`.
            min_mask_region_area: Smallest hole and island, in pixels.
            output_mode: What `generate` gives as segmentation: "binary_mask", (H, W) bool;
                "uncompressed_rle", COCO's run lengths as a list; "coco_rle", as text.

        Raises:
            ValidationError: A value is out of its bounds. It is a ValueError.
            InputError: There is no such output mode.
        """
        check_output_mode(output_mode)
        grids = None if point_grids is None else [np.asarray(g).tolist() for g in point_grids]
        self._set_up(
            model,
            MaskParams(
                points_per_side=points_per_side,
                points_per_batch=points_per_batch,
                pred_iou_thresh=pred_iou_thresh,
                stability_score_thresh=stability_score_thresh,
                stability_score_offset=stability_score_offset,
                box_nms_thresh=box_nms_thresh,
                crop_n_layers=crop_n_layers,
                crop_nms_thresh=crop_nms_thresh,
                crop_overlap_ratio=crop_overlap_ratio,
                crop_n_points_downscale_factor=crop_n_points_downscale_factor,
                point_grids=grids,
                min_mask_region_area=min_mask_region_area,
            ),
            output_mode,
        )

    @classmethod
    def from_params(cls, model: Sam | MaskModel, params: MaskParams) -> "MaskGenerator":
        """A generator with the parameters that the rest of this package hands round.

        `precision` and `compile_encoder` concern a `Sam`; a mask model was made with its own.
        """
        generator = cls.__new__(cls)
        generator._set_up(model, params, "coco_rle")
        return generator

    def _set_up(self, model: Sam | MaskModel, params: MaskParams, output_mode: OutputMode) -> None:
        self.model = as_mask_model(model, params.precision, params.compile_encoder)
        self.params = params
        self.output_mode: OutputMode = output_mode
        self._grids = point_grids(params)
        self._search = CropSearch(self.model, params)

    def generate(self, image: np.ndarray) -> list[dict[str, Any]]:
        """Find the masks of an image, as annotations of the segment-anything package.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            Dicts with segmentation, area, bbox (x, y, w, h), predicted_iou, point_coords,
            stability_score and crop_box, in the order of `find`.

        Raises:
            InputError: The array is no RGB image.
        """
        return [annotation(record, self.output_mode) for record in self.find(image)]

    def find(self, image: np.ndarray) -> list[MaskRecord]:
        """Find the masks of an image.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            Masks, best first: by predicted IoU; with crop layers, those from smaller crops first;
            with min_mask_region_area, those that needed no repair first. May be empty.

        Raises:
            InputError: The array is no RGB image.
        """
        return self.select(self.search([image])[0])

    def search(self, images: Sequence[np.ndarray]) -> list[Findings]:
        """The device's part of `find`, for several images at once.

        On a GPU it returns before all masks are traced, so that the next images can be searched
        while `select` works on these, in another thread.

        Args:
            images: (H, W, 3) uint8 RGB each, of any sizes.

        Raises:
            InputError: An array is no RGB image.
        """
        views = []
        for i, image in enumerate(images):
            check_rgb(image)
            height, width = image.shape[:2]
            layers, overlap = self.params.crop_n_layers, self.params.crop_overlap_ratio
            views += [(i, crop) for crop in plan_crops(height, width, layers, overlap)]
        findings: list[Findings] = [[] for _ in images]

        def embed(start: int, stop: int) -> list[ImageEmbedding]:
            crops = [(images[i], crop) for i, crop in views[start:stop]]
            return self.model.embed([image[c.y0 : c.y1, c.x0 : c.x1] for image, c in crops])

        at_once = _VIEWS_ON_CPU if self.model.device.type == "cpu" else _VIEWS_ON_GPU
        embeddings = chain.from_iterable(run_in_batches(len(views), at_once, embed))
        for (i, crop), embedding in zip(views, embeddings, strict=True):
            points = self._grids[crop.layer] * [crop.x1 - crop.x0, crop.y1 - crop.y0]
            findings[i].append(self._search.start(embedding, points, crop, images[i].shape[:2]))
        return findings

    def select(self, findings: Findings) -> list[MaskRecord]:
        """The rest of `find`: duplicates go, holes and islands are repaired. Needs no device."""
        params = self.params
        found = [candidate for finish in findings for candidate in self._distinct(finish())]
        if params.crop_n_layers > 0:
            # Smaller crops saw more detail, so of duplicates from different crops theirs stay.
            found = _kept(found, [1 / c.crop.area for c in found], params.crop_nms_thresh)
        if params.min_mask_region_area > 0:
            threshold = max(params.box_nms_thresh, params.crop_nms_thresh)
            found = _without_small_regions(found, params.min_mask_region_area, threshold)
        return [candidate.record() for candidate in found]

    def _distinct(self, found: list[Candidate]) -> list[Candidate]:
        """Drop duplicates in one crop; better predicted ones stay."""
        return _kept(found, [c.predicted_iou for c in found], self.params.box_nms_thresh)


def load_mask_generator(
    name: str, params: MaskParams | None = None, device: str | torch.device = "cpu"
) -> MaskGenerator:
    """A generator with the mask model that the model manifest calls `name`.

    Raises:
        InputError: The manifest has no such model, or the device is not there.
        CheckpointError: The weights are missing, damaged or do not fit.
    """
    params = params or MaskParams()
    loaded = load_mask_model(name, device, params.precision, params.compile_encoder)
    return MaskGenerator.from_params(loaded.model, params)


def _kept(found: list[Candidate], scores: list[float], iou_threshold: float) -> list[Candidate]:
    kept = distinct_boxes([c.mask.corners for c in found], scores, iou_threshold)
    return [found[i] for i in kept]


def _without_small_regions(
    found: list[Candidate], min_area: int, iou_threshold: float
) -> list[Candidate]:
    """Fill small holes, drop small islands, then drop what has become a duplicate by that."""
    repaired = [replace(c, mask=repair(c.mask, min_area)) for c in found]
    untouched = [
        float(after.mask is before.mask) for before, after in zip(found, repaired, strict=True)
    ]
    return _kept(repaired, untouched, iou_threshold)
