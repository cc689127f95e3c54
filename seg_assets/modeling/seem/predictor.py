"""SEEM in a notebook: an image and a prompt in, masks out.

predictor = SeemPredictor.load("seem_focall_v1", "cuda:0")
dogs = predictor.segment_text(image, ["the brown dog on the left"])
more = predictor.segment_like(other_image, image, dogs.masks)
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from seg_assets.classes.table import ClassTable, load_class_table
from seg_assets.errors import InputError
from seg_assets.modeling.seem.class_table import load_text_table
from seg_assets.modeling.seem.decoder_v1 import decode_masks, even_queries, joint_points
from seg_assets.modeling.seem.features import ImageFeatures, Prediction
from seg_assets.modeling.seem.load import load_seem
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.postprocess import (
    Instances,
    Segment,
    chosen_masks,
    confident_queries,
    instances,
    match_region,
    match_text,
    panoptic,
    semantic,
    to_image,
)
from seg_assets.modeling.seem.prompted_masks import PromptedMasks
from seg_assets.modeling.seem.prompts import mask_tensor, refuse_empty
from seg_assets.modeling.seem.tokenizer import tokenize

Wiring = Literal["demo", "v1"]
"""How mask prompts meet object queries: as in upstream's demo, or as v1.0 was trained."""


class SeemPredictor:
    """Answers prompts with a loaded SEEM. Prompts never influence each other."""

    def __init__(
        self,
        model: Seem,
        text_table: Tensor,
        *,
        autocast: torch.dtype | None = None,
        prompts_at_once: int = 16,
        classes: str | ClassTable = "coco133",
    ) -> None:
        """Take a model into use.

        Args:
            model: in evaluation mode, on its device.
            text_table: (classes + 1, hidden), from `load_text_table`.
            autocast: torch.float16 or torch.bfloat16 to run the network in mixed precision; what
                comes out of it is float32 all the same.
            prompts_at_once: decoded together; memory grows with it.
            classes: the table that the rows of `text_table` name; it says what is a thing.
        """
        self.classes = load_class_table(classes)
        self.model = model
        self.text_table = text_table.to(model.device)
        self.autocast = autocast
        self.prompts_at_once = prompts_at_once

    @classmethod
    def load(
        cls,
        name: str = "seem_focall_v1",
        device: str | torch.device = "cpu",
        *,
        autocast: torch.dtype | None = None,
    ) -> "SeemPredictor":
        """The SEEM that the model manifest calls `name`, with the classes of its entry.

        Raises:
            InputError: no such model, class table or device.
            CheckpointError: the weights are missing, damaged or do not fit.
        """
        loaded = load_seem(name, device)
        table = load_text_table(loaded)
        return cls(loaded.model, table, autocast=autocast, classes=loaded.entry.classes)

    def read(self, image: np.ndarray | ImageFeatures) -> ImageFeatures:
        """Run the image part once; every method takes the result in place of the image.

        Args:
            image: (H, W, 3) uint8 RGB of any size.

        Raises:
            InputError: the image has another shape or type.
        """
        if isinstance(image, ImageFeatures):
            return image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(
                f"SEEM was given an image of shape {image.shape} and type {image.dtype}; "
                "give RGB of shape (H, W, 3) and type uint8."
            )
        with self._running():
            # a copy: torch takes neither read-only arrays nor mirrored views
            pixels = torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))
            return self.model.encode_image(pixels)

    def segment_text(
        self, image: np.ndarray | ImageFeatures, texts: str | Sequence[str]
    ) -> PromptedMasks:
        """One mask per text, such as "the brown dog on the left".

        Raises:
            InputError: no texts, or one without words.
        """
        features = self.read(image)
        texts = [texts] if isinstance(texts, str) else list(texts)
        answers = []
        for start in range(0, max(1, len(texts)), self.prompts_at_once):
            part = texts[start : start + self.prompts_at_once]
            tokens = tokenize(part, context=self.model.config.text_context)
            with self._running():
                text = self.model.read_texts(tokens.ids, tokens.attention)
                prediction = self.model.decode(features, self.text_table, text=text)
            scale = self.model.language.logit_scale.detach()
            similarity, query = match_text(prediction, text.sentences, scale)
            answers.append(self._answer(features, prediction, similarity, query))
        return PromptedMasks.joined(answers, features.image_size)

    def segment_masks(
        self,
        image: np.ndarray | ImageFeatures,
        masks: np.ndarray,
        *,
        negatives: np.ndarray | None = None,
        wiring: Wiring = "demo",
    ) -> PromptedMasks:
        """The object under each stroke or mask; the result may be larger than what was drawn.

        Args:
            image: the image.
            masks: (N, H, W) or (H, W) bool, at the size of the image; N may be 0.
            negatives: alike, what to keep out.
            wiring: "demo" as upstream's demo and the SAM + SEEM pipeline do it; "v1" as the newer
                checkpoint was trained.

        Raises:
            InputError: a mask is empty or of another size, or there is no such wiring.
        """
        if wiring not in get_args(Wiring):
            raise InputError(f"There is no wiring {wiring!r}; choose demo or v1.")
        features = self.read(image)
        wanted = mask_tensor(masks, features.image_size)
        unwanted = None if negatives is None else mask_tensor(negatives, features.image_size)
        if unwanted is not None and unwanted.shape != wanted.shape:
            raise InputError(
                f"There are {len(unwanted)} negative masks for {len(wanted)} masks; "
                "give one for each, all False where there is nothing to keep out."
            )
        refuse_empty(wanted)
        ask = {"demo": self._ask_demo, "v1": self._ask_v1}[wiring]
        inside = self._batches(wanted)
        outside = [None] * len(inside) if unwanted is None else self._batches(unwanted)
        answers = [ask(features, *part) for part in zip(inside, outside, strict=True)]
        return PromptedMasks.joined(answers, features.image_size)

    def segment_like(
        self,
        image: np.ndarray | ImageFeatures,
        reference_image: np.ndarray | ImageFeatures,
        reference_masks: np.ndarray,
    ) -> PromptedMasks:
        """Find in an image what is masked in another one.

        Args:
            image: where to look.
            reference_image: what the masks belong to; its size may differ.
            reference_masks: (N, H, W) or (H, W) bool, at the size of the reference image.

        Raises:
            InputError: a mask is empty or of another size than the reference image.
        """
        reference = self.read(reference_image)
        masks = mask_tensor(reference_masks, reference.image_size)
        refuse_empty(masks)
        features = self.read(image)
        answers = []
        for part in self._batches(masks):
            with self._running():
                region = self.model.read_masks(reference, part)
                prediction = self.model.decode(features, self.text_table, regions=[region])
            similarity, query, _ = match_region(prediction, region.query)
            answers.append(self._answer(features, prediction, similarity, query))
        return PromptedMasks.joined(answers, features.image_size)

    def semantic(self, image: np.ndarray | ImageFeatures) -> np.ndarray:
        """Class scores per pixel: (classes, H, W) float32, not negative, not normalised."""
        features, prediction = self._objects(image)
        masks = to_image(features.masks(prediction.mask_embeddings)[0], features)
        return semantic(prediction.logits[0], masks).cpu().numpy()

    def panoptic(
        self,
        image: np.ndarray | ImageFeatures,
        *,
        things: Collection[int] | None = None,
        score_threshold: float = 0.4,
        overlap_threshold: float = 0.8,
    ) -> tuple[np.ndarray, list[Segment]]:
        """Segments that share no pixel: (H, W) int32 map, 0 = none, and what the ids are.

        Args:
            image: the image.
            things: class ids that are counted one by one; the class table's things by default.
            score_threshold: class probability that a query must exceed.
            overlap_threshold: share of its mask that a query must own.
        """
        features, prediction = self._objects(image)
        # only queries that can own a pixel are brought to image size
        keep = confident_queries(prediction.logits[0], score_threshold)
        masks = to_image(features.masks(prediction.mask_embeddings[:, keep])[0], features)
        counted = self.classes.things if things is None else things
        limits = {"score_threshold": score_threshold, "overlap_threshold": overlap_threshold}
        result, segments = panoptic(prediction.logits[0, keep], masks, counted, **limits)
        return result.cpu().numpy(), segments

    def instances(
        self,
        image: np.ndarray | ImageFeatures,
        *,
        things: Collection[int] | None = None,
        top: int = 100,
    ) -> Instances:
        """Things with scores, best first; tensors on the model's device.

        Args:
            image: the image.
            things: class ids to keep; the class table's things by default.
            top: (query, class) pairs to look at.
        """
        features, prediction = self._objects(image)
        masks = to_image(features.masks(prediction.mask_embeddings)[0], features)
        counted = self.classes.things if things is None else things
        return instances(prediction.logits[0], masks, counted, top=top)

    @contextmanager
    def _running(self) -> Iterator[None]:
        mixed = torch.autocast(
            self.model.device.type, self.autocast, enabled=self.autocast is not None
        )
        with torch.inference_mode(), mixed:
            yield

    def _batches(self, masks: Tensor) -> list[Tensor]:
        return [part for part in masks.split(self.prompts_at_once) if len(part)]

    def _objects(self, image: np.ndarray | ImageFeatures) -> tuple[ImageFeatures, Prediction]:
        features = self.read(image)
        with self._running():
            return features, self.model.decode(features, self.text_table)

    def _ask_demo(
        self, features: ImageFeatures, wanted: Tensor, unwanted: Tensor | None
    ) -> PromptedMasks:
        with self._running():
            regions = [self.model.read_masks(features, wanted)]
            if unwanted is not None:
                regions.append(self.model.read_masks(features, unwanted, positive=False))
            prediction = self.model.decode(features, self.text_table, regions=regions)
        similarity, query, _ = match_region(prediction, regions[0].query)
        return self._answer(features, prediction, similarity, query)

    def _ask_v1(
        self, features: ImageFeatures, wanted: Tensor, unwanted: Tensor | None
    ) -> PromptedMasks:
        limit, device = self.model.config.max_points, self.model.device
        masks, queries = [], []
        with self._running():
            objects = self.model.decode(features, self.text_table)
            # one by one: masks of one pass share the limit of points
            for i in range(len(wanted)):
                inside = wanted[i : i + 1].to(device)
                outside = None if unwanted is None else unwanted[i : i + 1].to(device)
                points = joint_points(inside, outside, features.padded_size, limit)
                decoder = self.model.predictor
                answer = decode_masks(decoder, features, points, even_queries(decoder, 1))
                masks.append(answer.masks)
                queries.append(answer.query)
        # the queries of a mask were never trained to name a class: the objects' best one names it
        match = match_region(objects, torch.cat(queries).float())
        logits = to_image(torch.cat(masks).float(), features)
        best = match.similarity.max(1).values
        return PromptedMasks.of(logits, best, match.class_id)

    @staticmethod
    def _answer(
        features: ImageFeatures, prediction: Prediction, similarity: Tensor, query: Tensor
    ) -> PromptedMasks:
        rows = torch.arange(len(query), device=query.device)
        logits = chosen_masks(prediction, features, query)
        class_ids = prediction.logits[rows, query].argmax(-1)
        return PromptedMasks.of(logits, similarity[rows, query], class_ids)
