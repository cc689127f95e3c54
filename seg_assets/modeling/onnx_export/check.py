"""An exported graph in onnxruntime against the model in torch: the same numbers, and how fast."""

import logging
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.errors import CheckpointError
from seg_assets.modeling.onnx_export.metadata import GraphKind
from seg_assets.modeling.onnx_export.session import OnnxGraph, open_graph
from seg_assets.modeling.onnx_export.tokens import point_tokens

_log = logging.getLogger(__name__)

Outputs = TypeVar("Outputs")

LIMIT = 1e-3
"""Largest absolute difference of any output that passes, float32."""

_RUNS = 3  # timed ones, after one that warms up
_LONG = 1.0  # seconds; a run that takes longer is timed at once
_SEED = 0
_OBJECTS = (1, 3)
# Points per object, whether there is a box, whether a mask is fed back.
_PROMPTS = (
    (1, False, False),
    (3, False, False),
    (0, True, False),
    (2, True, False),
    (0, False, True),
    (1, False, True),
    (1, True, True),
)


@dataclass(frozen=True)
class GraphCheck:
    """How a graph compares with torch, on this machine's CPU.

    Attributes:
        largest_difference: Of all outputs over all inputs tried.
        seconds: Of a run with one image (and one box, or the embedding and one point), the median.
        torch_seconds: The same in torch.
    """

    largest_difference: float
    seconds: float
    torch_seconds: float


class SamReference:
    """A model in torch, with seeded inputs to compare graphs on."""

    def __init__(self, sam: Sam) -> None:
        """Take a model in evaluation mode on the CPU."""
        self.sam = sam
        self._rng = np.random.default_rng(_SEED)

    def check(self, path: Path, kind: GraphKind) -> GraphCheck:
        """Run the graph in `path` and the model on the same inputs.

        Raises:
            InputError: onnxruntime is not installed or cannot open the file.
            CheckpointError: An output differs by more than `LIMIT`.
        """
        graph = open_graph(path, kind)
        compare = {"encoder": self._encoder, "decoder": self._decoder, "box": self._box}[kind]
        outcomes = list(compare(graph))
        # numpy's maximum, here and below, is NaN where one is
        largest = float(np.max([outcome.largest_difference for outcome in outcomes]))
        _log.info("the %s graph differs from torch by %.1e at most", kind, largest)
        if not largest <= LIMIT:  # NaN is not
            raise CheckpointError(
                f"the {kind} graph of {graph.metadata.model} differs from torch by {largest:.1e}, "
                f"more than {LIMIT:g}, so it was not put in place: try another opset, or export it "
                "unchecked"
            )
        first = outcomes[0]
        return GraphCheck(largest, first.seconds, first.torch_seconds)

    def _encoder(self, graph: OnnxGraph) -> Iterator[GraphCheck]:
        """One image."""
        yield _compare(
            lambda: (self.sam.image_encoder(torch.from_numpy(self._image)),),
            lambda: graph.run(image=self._image),
        )

    def _decoder(self, graph: OnnxGraph) -> Iterator[GraphCheck]:
        """All kinds of prompt, one object and several."""
        for count in _OBJECTS:
            for point_count, has_box, has_mask in _PROMPTS:
                yield self._decode(graph, count, point_count, has_box, has_mask)

    def _box(self, graph: OnnxGraph) -> Iterator[GraphCheck]:
        """One box and several, upscaled by the package's own function."""
        side = self.sam.image_encoder.img_size

        def in_torch(boxes: np.ndarray) -> tuple[torch.Tensor, ...]:
            features = self.sam.image_encoder(torch.from_numpy(self._image))
            logits, ious = self._reference(features, boxes=torch.from_numpy(boxes))
            whole = self.sam.postprocess_masks(logits[:, :1], (side, side), (side, side))
            return whole.transpose(0, 1), ious[:, :1].transpose(0, 1)

        for count in _OBJECTS:
            boxes = self._boxes(count)
            yield _compare(
                lambda boxes=boxes: in_torch(boxes),
                lambda boxes=boxes: graph.run(image=self._image, boxes=boxes[None]),
            )

    def _decode(
        self, graph: OnnxGraph, count: int, point_count: int, has_box: bool, has_mask: bool
    ) -> GraphCheck:
        side = self.sam.image_encoder.img_size
        points = labels = boxes = None
        if point_count:
            points = self._rng.uniform(0, side, (count, point_count, 2)).astype(np.float32)
            labels = self._rng.integers(0, 2, (count, point_count))
        if has_box:
            boxes = self._boxes(count)
        masks = np.repeat(self._earlier_logits, count, 0)  # (B, 1, 4h, 4w)
        coordinates, codes = point_tokens(count, points, labels, boxes)
        return _compare(
            lambda: self._reference(
                self._features,
                points=None if points is None else torch.from_numpy(points),
                labels=None if labels is None else torch.from_numpy(labels),
                boxes=None if boxes is None else torch.from_numpy(boxes),
                masks=torch.from_numpy(masks) if has_mask else None,
            ),
            lambda: graph.run(
                image_embeddings=self._features.numpy(),
                point_coords=coordinates,
                point_labels=codes,
                mask_input=masks,
                has_mask_input=np.array([has_mask], np.float32),
            ),
        )

    def _reference(
        self,
        features: torch.Tensor,
        points: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        boxes: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """All four masks and IoUs of the package's own prompt encoder and decoder."""
        sparse, dense = self.sam.prompt_encoder(
            points=None if points is None else (points, labels), boxes=boxes, masks=masks
        )
        return self.sam.mask_decoder.predict_masks(
            image_embeddings=features,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )

    @cached_property
    def _image(self) -> np.ndarray:
        """Noise, normalised: (1, 3, S, S) float32."""
        side = self.sam.image_encoder.img_size
        return self._rng.normal(size=(1, 3, side, side)).astype(np.float32)

    @cached_property
    def _features(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.sam.image_encoder(torch.from_numpy(self._image))

    @cached_property
    def _earlier_logits(self) -> np.ndarray:
        """What a box gave, to be fed back: (1, 1, 4h, 4w)."""
        with torch.inference_mode():
            logits, _ = self._reference(self._features, boxes=torch.from_numpy(self._boxes(1)))
        return logits[:, :1].numpy()

    def _boxes(self, count: int) -> np.ndarray:
        """Boxes of at least a quarter of the square's side, (count, 4) float32."""
        side = self.sam.image_encoder.img_size
        start = self._rng.uniform(0, 0.5, (count, 2))
        end = start + self._rng.uniform(0.25, 0.5, (count, 2))
        return (np.concatenate([start, end], 1) * side).astype(np.float32)


def _compare(
    in_torch: Callable[[], tuple[torch.Tensor, ...]], in_onnx: Callable[[], list[np.ndarray]]
) -> GraphCheck:
    with torch.inference_mode():
        expected, torch_seconds = _timed(in_torch)
    found, seconds = _timed(in_onnx)
    largest = 0.0
    for own, theirs in zip(found, expected, strict=True):
        if own.shape != tuple(theirs.shape):
            raise CheckpointError(f"a graph gives {own.shape} where torch has {theirs.shape}")
        largest = np.maximum(largest, np.abs(own - theirs.numpy()).max())
    return GraphCheck(float(largest), seconds, torch_seconds)


def _timed(run: Callable[[], Outputs]) -> tuple[Outputs, float]:
    """What it returns, and the median of its seconds."""
    start = time.perf_counter()
    outputs = run()
    first = time.perf_counter() - start
    if first > _LONG:
        return outputs, first
    seconds = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return outputs, statistics.median(seconds)
