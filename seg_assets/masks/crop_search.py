"""All masks that the points of one crop find: decoded, traced, and filtered by their quality."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from seg_assets.masks.crops import Crop
from seg_assets.masks.params import MaskParams
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.upscaling.traced import Canvas, Stability, TracedMask
from seg_assets.masks.upscaling.tracer import trace_masks
from seg_assets.modeling.mask_models.protocol import ImageEmbedding, MaskModel, PointMasks

# Batches of a crop that may wait to be traced: their logits lie in the GPU's memory.
_BATCHES_AHEAD = 8


@dataclass(frozen=True)
class Candidate:
    """A good mask of one crop, in the image's frame.

    Attributes:
        mask: Run lengths, box, area and stability.
        predicted_iou: As the model guesses it.
        point: The point x, y that prompted it, in pixels of the image.
        crop: Where it was found.
    """

    mask: TracedMask
    predicted_iou: float
    point: tuple[float, float]
    crop: Crop

    def record(self) -> MaskRecord:
        """The candidate in SA-1B's terms."""
        x0, y0, x1, y1 = self.mask.corners
        crop = self.crop
        return MaskRecord(
            rle=self.mask.rle,
            bbox=(x0, y0, x1 - x0, y1 - y0),
            area=self.mask.area,
            predicted_iou=self.predicted_iou,
            stability_score=self.mask.stability,
            point_coords=(self.point,),
            crop_box=(crop.x0, crop.y0, crop.x1 - crop.x0, crop.y1 - crop.y0),
        )


Finish = Callable[[], list[Candidate]]
"""Waits until a crop's masks are traced, and gives the good ones in the order of their points."""


class CropSearch:
    """Searches crops with one model and one set of thresholds."""

    def __init__(self, model: MaskModel, params: MaskParams) -> None:
        self._model = model
        self._params = params
        self._stability = Stability(
            threshold=model.mask_threshold,
            offset=params.stability_score_offset,
            least=params.stability_score_thresh,
        )
        # On a GPU, masks are traced on the CPU's threads while the next points are decoded.
        threads = torch.get_num_threads()
        self._threads = None if model.device.type == "cpu" else ThreadPoolExecutor(threads)

    def start(
        self,
        embedding: ImageEmbedding,
        points: np.ndarray,
        crop: Crop,
        image_size: tuple[int, int],
    ) -> Finish:
        """Decode a crop's points; on a GPU without waiting for the last masks to be traced.

        Args:
            embedding: Of the crop.
            points: x, y in pixels of the crop, (N, 2) float64.
            crop: Where it lies.
            image_size: Rows and columns of the image.
        """
        height, width = image_size
        canvas = Canvas(height, width, crop.y0, crop.x0)
        coordinates = torch.from_numpy(embedding.frame.to_input(points)).float()
        decoded = self._model.decode_points(
            embedding,
            coordinates.to(self._model.device),
            self._is_promising,
            self._params.points_per_batch,
        )

        def trace(found: PointMasks) -> list[Candidate]:
            threads = None if self._threads is None else 1
            masks = trace_masks(found.logits, embedding.frame, canvas, self._stability, threads)
            ious, indices = found.predicted_ious.tolist(), found.points.tolist()
            places = points + [crop.x0, crop.y0]
            candidates = [
                Candidate(mask, ious[mask.index], tuple(places[indices[mask.index]].tolist()), crop)
                for mask in masks
            ]
            return [c for c in candidates if not crop.cuts(c.mask.corners, height, width)]

        if self._threads is None:
            traced = [candidate for found in decoded for candidate in trace(found)]
            return lambda: traced
        traced_later: list[Future[list[Candidate]]] = []
        for found in decoded:
            traced_later.append(self._threads.submit(trace, found))
            if len(traced_later) >= _BATCHES_AHEAD:
                traced_later[-_BATCHES_AHEAD].result()
        return lambda: [candidate for future in traced_later for candidate in future.result()]

    def _is_promising(self, predicted_ious: torch.Tensor) -> torch.Tensor:
        good = ~predicted_ious.isnan()
        if self._params.pred_iou_thresh > 0:
            good &= predicted_ious > self._params.pred_iou_thresh
        return good
