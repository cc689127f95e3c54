"""Fine-tune SEEM, or train a small one from nothing.

A step reads its images once; object queries, drawn prompts and texts are decoded from the same
features. What is trained is decided first (`strategies.py`), then the optimizer is built from it.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

import numpy as np
import torch
from torch import Tensor

from seg_assets.classes.record import table_record
from seg_assets.errors import InputError
from seg_assets.modeling.pixels import PIXEL_MEAN, PIXEL_STD
from seg_assets.modeling.seem.adapters import attach_adapters
from seg_assets.modeling.seem.features import ImageFeatures
from seg_assets.modeling.seem.lora import attach_lora, merged_weights
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.prompts import RegionPrompt
from seg_assets.training.seem.batch import SeemBatch, SeemItem, collate_items
from seg_assets.training.seem.criterion import (
    batch_counts,
    grounding_terms,
    object_terms,
)
from seg_assets.training.seem.evaluation import evaluate
from seg_assets.training.seem.heads import HeadStack
from seg_assets.training.seem.items import make_item
from seg_assets.training.seem.losses import term_names
from seg_assets.training.seem.params import SeemTaskParams
from seg_assets.training.seem.prompting import read_own_texts
from seg_assets.training.seem.sources import SampleSource
from seg_assets.training.seem.spatial import (
    object_prompts,
    own_query_terms,
    prompted_object_terms,
)
from seg_assets.training.seem.step_draw import IMAGES, SEEDS, StepDraw
from seg_assets.training.seem.strategies import idle_names, parameter_groups, trained_names
from seg_assets.training.seem.texts import ClassTexts
from seg_assets.training.task import Json, ParameterGroup, Task
from seg_assets.training.trainable import train_only

ADAPTERS_ONLY = ("adapter_head", "adapter_both")
"""Strategies whose checkpoints lie on a base."""


class SeemTask(Task):
    """Objects always, drawn prompts and texts in a share of the steps."""

    name = "seem"
    metric = "mIoU"

    def __init__(
        self,
        model: Seem,
        train: SampleSource,
        held_out: SampleSource | None,
        params: SeemTaskParams,
        base: dict[str, Json] | None = None,
    ) -> None:
        """Take a model into training: attach what the strategy adds and freeze the rest.

        Args:
            model: with its starting weights; changed in place.
            train: training samples.
            held_out: samples to evaluate on, in the same classes.
            params: of the training.
            base: what the starting weights are, for the checkpoint's description.

        Raises:
            InputError: the number of classes is not the stated one, or the two sources differ in
                their classes.
        """
        super().__init__()
        params.check_classes(len(train.table))
        if held_out is not None and held_out.table.names != train.table.names:
            raise InputError(
                f"training is in the classes of {train.table.name} and evaluation in those of "
                f"{held_out.table.name}: give both in the same classes"
            )
        self.model, self.params = model, params
        self.base = base or {}
        self._train, self._held_out = train, held_out
        self._texts = ClassTexts(train.table.names, context=model.config.text_context)
        self._mean_table: Tensor | None = None
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(params.init_seed)
            if params.used_adapters is not None:
                attach_adapters(model, params.used_adapters)
            if params.strategy == "lora":
                attach_lora(model, params.lora)
        self._trained = trained_names(model, params.strategy) - idle_names(model, params)
        train_only(model, self._trained)

    @property
    def seem(self) -> Seem:
        """The model, as what it is."""
        return cast(Seem, self.model)

    @property
    def outputs(self) -> int:
        """Prediction heads: one before each decoder layer and one behind the last."""
        return self.seem.config.decoder_layers + 1

    def __len__(self) -> int:
        return len(self._train)

    def sample(self, index: int, rng: np.random.Generator) -> SeemItem:
        """Read, augment and ask: one training image."""
        return make_item(self._train[index], self._train.table, self.params, rng)

    def collate(self, samples: list[SeemItem]) -> SeemBatch:
        """Put images together."""
        return collate_items(samples, self.seem.config.text_context)

    def trainable(self) -> set[str]:
        """The strategy's parameters, without those that nothing reads."""
        return set(self._trained)

    def parameter_groups(self) -> list[ParameterGroup]:
        """By learning rate and weight decay."""
        return parameter_groups(self.seem, self._trained, self.params)

    def counts(self, batch: SeemBatch) -> dict[str, float]:
        """Objects, texts and prompts of a batch, and the images and seeds that name the step."""
        counts = batch_counts(batch, self.seem.config.queries, self.params)
        return counts | {IMAGES: float(len(batch.images)), SEEDS: float(batch.seeds.sum())}

    def forward(self, batch: SeemBatch, counts: Mapping[str, float]) -> dict[str, Tensor]:
        """All loss terms; those of tasks that this step does not train are zero."""
        draw = StepDraw.of(counts, self.params)
        features = self._read(batch.images)
        table = self._texts.step_table(self.seem, draw.sentence_key)
        zero = table.new_zeros((), dtype=torch.float32)
        terms = dict.fromkeys(term_names(self.outputs), zero)
        spatial = draw.spatial and batch.prompts.shape[1] > 0
        regions: list[RegionPrompt] = []
        if spatial and self.params.wiring == "demo":
            regions = object_prompts(self.seem, features, table, batch, draw.rounds)
        prediction = self.seem.decode(features, table, regions=regions, auxiliary=True)
        stack = HeadStack.of(prediction)
        found, pairs = object_terms(stack, features, batch, self.params, counts)
        terms |= found
        if regions:
            query = regions[0].query
            terms |= prompted_object_terms(stack, pairs, query, batch, self.params, counts)
        elif spatial:
            terms |= own_query_terms(self.seem, features, batch, self.params, counts, draw.rounds)
        if draw.grounding and batch.words.shape[1]:
            terms |= self._texts_terms(features, table, batch, counts)
        return terms

    def evaluate(self) -> dict[str, float]:
        """Semantic scores on the held-out data."""
        if self._held_out is None:
            return {}
        return evaluate(self.seem, self._class_table(), self._held_out, self.params.image_size)

    def weights(self) -> dict[str, Tensor]:
        """What training adds to the base, or everything.

        Adapters alone where nothing else was trained; with LoRA the updated layers, merged, under
        the base's key names; else all weights.
        """
        if self.params.strategy == "lora":
            return merged_weights(self.seem)
        state = self.seem.state_dict()
        if self.params.strategy in ADAPTERS_ONLY:
            return {name: state[name] for name in sorted(self._trained)}
        return dict(state)

    def description(self) -> dict[str, Json]:
        """Base model, network, classes, normalisation, strategy and parameters."""
        table, adapters = self._train.table, self.params.used_adapters
        network = {name: _json(value) for name, value in asdict(self.seem.config).items()}
        return {
            "kind": "seem",
            "base": self.base,
            "network": network,
            "classes": {
                "name": table.name,
                "names": list(table.names),
                "things": [c.id for c in table.classes if c.is_thing],
                "table": table_record(table),  # type: ignore[dict-item]
            },
            "mean": list(PIXEL_MEAN),
            "std": list(PIXEL_STD),
            "strategy": self.params.strategy,
            "upstream_flags": self.params.flags,  # type: ignore[dict-item]
            "adapters": None if adapters is None else adapters.model_dump(mode="json"),
            "whole": self.params.strategy not in (*ADAPTERS_ONLY, "lora"),
            "params": self.params.model_dump(mode="json"),
        }

    def _read(self, images: Tensor) -> ImageFeatures:
        """Backbone and pixel decoder on the batch."""
        mean, std = (
            torch.tensor(values, device=images.device)[:, None, None]
            for values in (PIXEL_MEAN, PIXEL_STD)
        )
        height, width = images.shape[-2:]
        return self.seem.encode_images((images.float() - mean) / std, (height, width))

    def _texts_terms(
        self, features: ImageFeatures, table: Tensor, batch: SeemBatch, counts: Mapping[str, float]
    ) -> dict[str, Tensor]:
        prompt, sentences = read_own_texts(self.seem, batch.words, batch.word_valid)
        prediction = self.seem.decode(features, table, text=prompt, auxiliary=True)
        scale = self.seem.language.logit_scale
        stack = HeadStack.of(prediction)
        return grounding_terms(stack, sentences, scale, features, batch, self.params, counts)

    def _class_table(self) -> Tensor:
        """The table of inference; kept where the text encoder rests."""
        if any("lang_encoder" in name for name in self._trained):
            return self._texts.mean_table(self.seem)
        if self._mean_table is None:
            self._mean_table = self._texts.mean_table(self.seem)
        return self._mean_table


def _json(value: object) -> Json:
    return list(value) if isinstance(value, tuple) else value  # type: ignore[return-value]
