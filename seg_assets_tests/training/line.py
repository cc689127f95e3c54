"""A task small enough for every test: y = Wx + b on eight fixed points, behind a frozen layer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seg_assets.errors import ImageError
from seg_assets.training.config import TrainConfig
from seg_assets.training.distributed import share_of_rank, sum_numbers
from seg_assets.training.task import Json, ParameterGroup, Task
from seg_assets.training.trainable import train_only

POINTS = 8


@dataclass(frozen=True)
class Points:
    """A batch: x (N, 3) and y (N, 2), float32."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class LineParams:
    """What the tests vary.

    Attributes:
        samples: Training samples per epoch; the points repeat.
        dropout: In front of the trained layer: torch's chance.
        noise: On the points: chance of the sample.
        norm: A batch norm, which has buffers.
        unlabelled: Points without a target, from the first on.
        unreadable: A sample that cannot be made.
    """

    samples: int = POINTS
    dropout: float = 0.0
    noise: float = 0.1
    norm: bool = False
    unlabelled: int = 0
    unreadable: int | None = None


class Line(nn.Module):
    """A frozen layer, a trained one behind a dropout, and one that only some points need."""

    def __init__(self, dropout: float, norm: bool) -> None:
        super().__init__()
        self.frozen = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
        self.norm = nn.BatchNorm1d(4) if norm else nn.Identity()
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(4, 2))
        self.rare = nn.Linear(3, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.frozen(x)))


class LineTask(Task):
    """Everything that the loop needs to know, on one screen."""

    name = "line"
    metric = "accuracy"

    def __init__(self, params: LineParams | None = None) -> None:
        super().__init__()
        self.params = params or LineParams()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = Line(self.params.dropout, self.params.norm)
            self.x = torch.randn(POINTS, 3)
            self.y = torch.randn(POINTS, 2)
        self.y[: self.params.unlabelled] = 0.0
        train_only(self.model, self.trainable())

    def __len__(self) -> int:
        return self.params.samples

    def sample(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        if index == self.params.unreadable:
            raise ImageError(f"the image of sample {index} cannot be read")
        shift = torch.from_numpy(rng.normal(0, self.params.noise, 3).astype(np.float32))
        return self.x[index % POINTS] + shift, self.y[index % POINTS]

    def collate(self, samples: list[Any]) -> Points:
        return Points(torch.stack([x for x, _ in samples]), torch.stack([y for _, y in samples]))

    def trainable(self) -> set[str]:
        return {n for n, _ in self.model.named_parameters() if not n.startswith("frozen")}

    def parameter_groups(self) -> list[ParameterGroup]:
        return [
            ParameterGroup(["head.1.weight"], lr_scale=0.1),
            ParameterGroup(sorted(self.trainable() - {"head.1.weight"}), weight_decay=0.0),
        ]

    def counts(self, batch: Points) -> dict[str, float]:
        labelled = (batch.y != 0).any(dim=1)
        return {"labelled": float(labelled.sum()), "rare": float((batch.y[:, 0] > 1).sum())}

    def forward(self, batch: Points, counts: Mapping[str, float]) -> dict[str, Tensor]:
        labelled = (batch.y != 0).any(dim=1)
        predicted = self.model(batch.x)  # (N, 2)
        terms = {"square": ((predicted - batch.y) ** 2)[labelled].sum() / counts["labelled"]}
        rare = batch.x[batch.y[:, 0] > 1]
        terms["rare"] = (
            (self.model.rare(rare) ** 2).sum() / counts["rare"]
            if len(rare)
            else 0 * predicted.sum()
        )
        return terms

    def evaluate(self) -> dict[str, float]:
        mine = list(share_of_rank(POINTS))
        squares = (self.model(self.x[mine]) - self.y[mine]) ** 2
        sums = sum_numbers({"error": float(squares.sum()), "values": float(squares.numel())})
        error = sums["error"] / sums["values"]
        return {"accuracy": 1 - error, "error": error}

    def weights(self) -> dict[str, Tensor]:
        return {n: t for n, t in self.model.state_dict().items() if not n.startswith("frozen")}

    def description(self) -> dict[str, Json]:
        return {"base": "line", "parameters": asdict(self.params)}


def build(params: Mapping[str, Any]) -> LineTask:
    """As the registry's builders: a task from JSON."""
    return LineTask(LineParams(**params))


def line_config(**changes: Any) -> TrainConfig:
    """Twelve steps of four samples at a rate that is felt."""
    base: dict[str, Any] = {"steps": 12, "batch_size": 4, "lr": 0.05, "device": "cpu"}
    return TrainConfig(**{**base, **changes})


def state_of(task: LineTask) -> dict[str, Tensor]:
    """A copy of all numbers of the model."""
    return {name: tensor.clone() for name, tensor in task.model.state_dict().items()}


def equal_states(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    """Whether all bits are the same."""
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
