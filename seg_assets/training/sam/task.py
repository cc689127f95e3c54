"""What all recipes for SAM share: data, frozen parts, loss of a batch, evaluation, description."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

import seg_assets.modeling.torchvision_cpu  # noqa: F401

# isort: split
from segment_anything.modeling import Sam

from seg_assets.data.instance_image import InstanceDataset, InstanceImage
from seg_assets.modeling.checkpoints import LoadedModel
from seg_assets.training.distributed import share_of_rank, sum_numbers
from seg_assets.training.sam.batch import PromptPlan, SamBatch, SamSample, collate
from seg_assets.training.sam.embeddings import FrozenEncoder
from seg_assets.training.sam.evaluation import HeldOutImage, ObjectIous, evaluate_images
from seg_assets.training.sam.normalisation import (
    NORMALISATIONS,
    describe_normalisation,
    normalise,
    set_normalisation,
)
from seg_assets.training.sam.objects import choose_objects
from seg_assets.training.sam.params import SamParams
from seg_assets.training.sam.prompts import shake_boxes
from seg_assets.training.sam.refine import TERMS, refine
from seg_assets.training.sam.transform import SquareFit
from seg_assets.training.task import Json, ParameterGroup, Task
from seg_assets.training.trainable import named_parameters, train_only

# Parameters that change nothing but speed and memory, and what the description names elsewhere.
_HOUSEKEEPING = {"cache", "cache_dir", "objects_per_chunk", "base"}


class SamTask(Task):
    """Fine-tune a SAM on images with instance masks.

    Args:
        base: The model to start from. It is changed: trained, and its pixels scaled as `params`
            says.
        data: Training images.
        held_out: Images to evaluate on, or None.
        params: The recipe.
    """

    metric = "miou"
    all_parameters_used = True  # where a prompt leaves some out, the loss adds zero times them

    def __init__(
        self,
        base: LoadedModel[Sam],
        data: InstanceDataset,
        held_out: InstanceDataset | None,
        params: SamParams,
    ) -> None:
        super().__init__()
        self.model = base.model
        self.params = params
        self._base = base
        self._data = data
        self._held_out = held_out
        set_normalisation(self.sam, NORMALISATIONS[params.normalisation])
        train_only(self.model, self.trainable())
        self._frozen_encoder = (
            None
            if "image_encoder" in params.trained
            else FrozenEncoder(self.sam, params.cache, params.cache_dir)
        )

    @abstractmethod
    def plan_prompts(self, objects: int, rng: np.random.Generator) -> PromptPlan:
        """Draw how the objects of one training image are prompted."""

    @abstractmethod
    def plan_evaluation(self, objects: int, rng: np.random.Generator) -> PromptPlan:
        """Draw the single prompt that each object of a held-out image gets."""

    @property
    def sam(self) -> Sam:
        """The model, by its own type."""
        return self._base.model

    @property
    def accumulates_prompts(self) -> bool:
        """Whether a later iteration sees the prompts of those before."""
        return True

    def __len__(self) -> int:
        return len(self._data)

    def sample(self, index: int, rng: np.random.Generator) -> SamSample:
        """See `Task`; objects that vanish when the image is scaled down are left out."""
        item = self._data[index]
        chosen = choose_objects(
            len(item.masks), self.params.objects_per_image, self.params.object_choice, rng
        )
        fit = self._fit(item)
        masks = fit.masks(item.masks[chosen])
        seen = masks.any((1, 2))
        return self._sample(
            fit, item, masks[seen], chosen[seen], self.plan_prompts(int(seen.sum()), rng), rng
        )

    def collate(self, samples: list[SamSample]) -> SamBatch:
        """See `Task`."""
        return collate(
            samples, self.params.objects_per_image, with_keys=self.params.cache != "none"
        )

    def parameter_groups(self) -> list[ParameterGroup]:
        """See `Task`; one group, which decays as the configuration says."""
        return [ParameterGroup(sorted(self.trainable()))]

    def trainable(self) -> set[str]:
        """See `Task`."""
        return {
            name
            for name in named_parameters(self.model)
            if name.split(".", 1)[0] in self.params.trained
        }

    def counts(self, batch: SamBatch) -> dict[str, float]:
        """See `Task`; every term is a mean over objects."""
        return {"objects": float(batch.valid.sum())}

    def forward(self, batch: SamBatch, counts: Mapping[str, float]) -> dict[str, Tensor]:
        """See `Task`; the terms are those of the mean over the iterations."""
        features = self.embed(batch.images, batch.input_sizes, batch.keys)
        parts = [
            (features[index : index + 1], part)
            for index in range(len(batch))
            for part in batch.objects(index).chunks(self.params.objects_per_chunk)
        ]
        decoded = sum(len(part.masks) * len(part.mask_only) for _, part in parts)
        sums = [
            refine(
                self.sam,
                own_features,
                part,
                self.params.loss,
                accumulate=self.accumulates_prompts,
                recompute=decoded > self.params.objects_per_chunk,
            )
            for own_features, part in parts
        ]
        if not parts or "prompt_encoder" in self.params.trained:  # of which each prompt uses a part
            sums.append(self._zero())
        terms = torch.stack(sums).sum(0) / counts["objects"]
        return dict(zip(TERMS, terms.unbind(), strict=True))

    def embed(
        self, images: Tensor, sizes: Sequence[tuple[int, int]], keys: Sequence[str]
    ) -> Tensor:
        """Run the image encoder once per image, or not at all for images that it knows.

        Args:
            images: (B, 3, S, S) uint8, each at the top left.
            sizes: Their rows and columns.
            keys: Their hashes, for the cache; may be empty without one.

        Returns:
            (B, C, h, w).
        """
        if self._frozen_encoder is not None:
            return self._frozen_encoder.embed(images, sizes, keys)
        return self.sam.image_encoder(normalise(self.sam, images, sizes))

    def evaluate(self) -> dict[str, float]:
        """See `Task`: the mean IoU of one prompt per object, in the model's square and in pixels.

        "miou" is that of the padded square, as published; "miou_original" that of the images' own
        pixels.
        """
        if self._held_out is None:
            return {}
        sums = evaluate_images(
            self.sam,
            self._embed_sample,
            self._held_out_images(self._held_out),
            self.params.objects_per_chunk,
        )
        return ObjectIous(**sum_numbers(vars(sums))).means()

    def weights(self) -> dict[str, Tensor]:
        """See `Task`; by the published models' key names."""
        state = self.sam.state_dict()
        if self.params.save == "whole":
            return state
        return {name: state[name] for name in sorted(self.trainable())}

    def description(self) -> dict[str, Json]:
        """See `Task`."""
        entry = self._base.entry
        description: dict[str, Any] = {
            "kind": "sam",
            "base": entry.name,
            "base_sha256": self._base.sha256,
            "config": entry.config,
            "licence": entry.licence,
            "input_size": self.sam.image_encoder.img_size,
            "normalisation": describe_normalisation(self.sam),
            "recipe": self.name,
            "params": self.params.model_dump(mode="json", exclude=_HOUSEKEEPING),
        }
        return description

    def _held_out_images(self, data: InstanceDataset) -> Iterator[HeldOutImage]:
        for index in share_of_rank(len(data)):
            item = data[index]
            rng = np.random.default_rng([self.params.eval_seed, index])
            chosen = choose_objects(len(item.masks), self.params.eval_objects, "first", rng)
            fit = self._fit(item)
            masks = fit.masks(item.masks[chosen])
            plan = self.plan_evaluation(len(chosen), rng)
            sample = self._sample(fit, item, masks, chosen, plan, rng)
            yield HeldOutImage(sample, item.masks[chosen])

    def _fit(self, item: InstanceImage) -> SquareFit:
        rows, columns = item.image.shape[:2]
        return SquareFit((rows, columns), self.sam.image_encoder.img_size)

    def _sample(
        self,
        fit: SquareFit,
        item: InstanceImage,
        masks: np.ndarray,
        chosen: np.ndarray,
        plan: PromptPlan,
        rng: np.random.Generator,
    ) -> SamSample:
        return SamSample(
            image=fit.image(item.image),
            input_size=fit.input_size,
            masks=masks,
            boxes=shake_boxes(
                fit.boxes(item.boxes[chosen]), fit.input_size, self.params.noise, rng
            ),
            plan=plan,
        )

    def _embed_sample(self, sample: SamSample) -> Tensor:
        image = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
        return self.embed(image.to(self.sam.device), [sample.input_size], [sample.key()])

    def _zero(self) -> Tensor:
        """Zeros, (3,), that depend on every trained parameter.

        Processes that train together wait for a gradient of each of them.
        """
        own = named_parameters(self.model)
        touched = torch.stack([own[name].flatten()[0] for name in sorted(self.trainable())])
        return touched.sum() * torch.zeros(len(TERMS), device=touched.device)
