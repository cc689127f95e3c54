"""What a training is about: the model, its data, its loss and its measure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from seg_assets.training.trainable import named_parameters, rest_frozen_parts

if TYPE_CHECKING:
    from seg_assets.training.config import TrainConfig

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that the optimizer treats alike.

    Attributes:
        names: Their names in the model.
        lr_scale: Factor on the learning rate, e.g. 0.1 for a pretrained backbone.
        weight_decay: Their weight decay, or None for that of the configuration.
    """

    names: Sequence[str]
    lr_scale: float = 1.0
    weight_decay: float | None = None


class Task(nn.Module, ABC):
    """What is trained: a model, its data, its loss and its measure.

    As a module it maps a batch to loss terms, so that DistributedDataParallel can wrap it.

    Attributes:
        name: What the run is called, e.g. "sam_box".
        model: What is trained and saved.
        metric: Key of `evaluate()` that decides which checkpoint is best; higher is better.
        progress: Share of the run that is done, 0 to 1; the loop sets it before every step, for
            recipes that change on the way. Samples may be made ahead of it: for `forward` only.
        all_parameters_used: Whether every trained parameter has part in every loss; several
            processes then need not search for those that have not.
    """

    name: str
    model: nn.Module
    metric: str
    progress: float = 0.0
    all_parameters_used: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """Training samples per epoch."""

    @abstractmethod
    def sample(self, index: int, rng: np.random.Generator) -> Any:
        """Make one training sample.

        Args:
            index: Which, from 0 to len(self) - 1.
            rng: The only source of chance; seeded with (seed, epoch, index), so that a sample does
                not depend on the worker that makes it nor on where a run was interrupted.
        """

    @abstractmethod
    def collate(self, samples: list[Any]) -> Any:
        """Make a batch on the CPU: a tensor, or a dataclass, dict, list or tuple with tensors."""

    @abstractmethod
    def parameter_groups(self) -> list[ParameterGroup]:
        """The parameters to train, each in one group; all others require no gradient."""

    @abstractmethod
    def trainable(self) -> set[str]:
        """Names of the model's parameters that the recipe says it trains."""

    @abstractmethod
    def counts(self, batch: Any) -> dict[str, float]:
        """The numbers that loss terms are means over (objects, queries, ...), of this batch alone.

        The keys must not depend on the batch. The batch lies on the CPU.
        """

    @abstractmethod
    def forward(self, batch: Any, counts: Mapping[str, float]) -> dict[str, Tensor]:
        """Loss terms of one batch: scalars, weighted, each already divided by its count.

        The loss is their plain sum. Dividing by the given `counts` and by nothing else makes k
        micro-batches on n processes equal one large batch; each count is above 0, but may be below
        1. The keys must not depend on the batch: a term with nothing in it is 0, but made from the
        network's output (its sum times 0), as several processes need a gradient from each. Chance
        comes from torch's global generators, which are seeded anew for every micro-batch.
        """

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Measure on held-out data; the model is in eval mode and no gradient is recorded.

        With several processes each does its share and sums are reduced (`distributed.py`), so that
        all return the same numbers. No held-out data: an empty dict, and no checkpoint is best.
        """

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """What the checkpoint holds (everything, or adapters only), by the model's key names."""

    @abstractmethod
    def description(self) -> dict[str, Json]:
        """What a reader of the checkpoint must know: base model, network, class table, recipe.

        A run is continued only under an equal description.
        """

    def optimizers(self, config: "TrainConfig") -> list[Optimizer]:
        """AdamW over the parameter groups; a task may bring one or several others.

        The loop sets each group's "lr" before every step: scheduled rate x its "lr_scale" (1 where
        it has none). A group may be given more keys, but no tensors.
        """
        named = named_parameters(self.model)
        groups = [
            {
                "params": [named[name] for name in group.names],
                "lr_scale": group.lr_scale,
                "weight_decay": config.weight_decay
                if group.weight_decay is None
                else group.weight_decay,
            }
            for group in self.parameter_groups()
        ]
        return [AdamW(groups, lr=config.lr, betas=config.betas, fused=_can_fuse(named))]

    def train(self, mode: bool = True) -> "Task":
        """Go into training mode, except for the frozen parts: their dropout stays off."""
        super().train(mode)
        if mode:
            rest_frozen_parts(self.model)
        return self


def _can_fuse(named: Mapping[str, Tensor]) -> bool:
    """One kernel for all parameters is faster, and not every device has it."""
    return all(parameter.device.type in {"cpu", "cuda"} for parameter in named.values()) and all(
        torch.is_floating_point(parameter) for parameter in named.values()
    )
