"""The order of the training samples, and the processes that make them.

All epochs form one endless row of samples: epoch 0 in a seeded order, then epoch 1 in another, and
so on. Step s takes the s-th
stretch of that row, so the position in the data is known from the step
alone. A batch may span the end of an epoch; no sample is dropped and none is seen twice in one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from seg_assets.errors import SegAssetsError
from seg_assets.training.config import TrainConfig
from seg_assets.training.task import Task


@dataclass(frozen=True)
class Place:
    """One sample in the row: which epoch it belongs to, and its index in the data."""

    epoch: int
    index: int


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass gets.

    Attributes:
        indices: Of its samples in the data.
        content: What the task made of them, on the CPU.
    """

    indices: tuple[int, ...]
    content: Any


@lru_cache(maxsize=2)
def epoch_order(samples: int, seed: int, epoch: int) -> np.ndarray:
    """The indices 0 to samples - 1 in the order of one epoch, int64."""
    return np.random.default_rng([seed, epoch]).permutation(samples)


def place_at(position: int, samples: int, seed: int) -> Place:
    """The sample at a position of the endless row."""
    epoch, rest = divmod(position, samples)
    return Place(epoch, int(epoch_order(samples, seed, epoch)[rest]))


def sample_rng(seed: int, place: Place) -> np.random.Generator:
    """The source of chance of one sample."""
    return np.random.default_rng([seed, place.epoch, place.index])


class BatchPlaces:
    """The micro-batches of one process, as the places of their samples, in order.

    Each stretch of batch_size x processes samples is cut into one part per process: n processes
    with b samples each take what one process with n x b takes.
    """

    def __init__(
        self, config: TrainConfig, samples: int, steps: range, rank: int, processes: int
    ) -> None:
        self.config = config
        self.samples = samples
        self.steps = steps
        self.rank = rank
        self.processes = processes

    def __iter__(self) -> Iterator[list[Place]]:
        """Go through the steps from the first one."""
        size, seed = self.config.batch_size, self.config.seed
        for step in self.steps:
            for micro in range(self.config.accumulate):
                stretch = (step - 1) * self.config.accumulate + micro
                start = (stretch * self.processes + self.rank) * size
                yield [place_at(start + i, self.samples, seed) for i in range(size)]


def micro_batches(
    task: Task, config: TrainConfig, steps: range, rank: int = 0, processes: int = 1
) -> Iterator[MicroBatch]:
    """Make the micro-batches of one process; `config.workers` changes the speed and nothing else.

    Args:
        task: Makes and collates samples.
        config: Seed, sizes and workers.
        steps: Which optimizer steps; they are counted from 1.
        rank: Number of this process.
        processes: How many train together.

    Raises:
        SegAssetsError: What the task raised while it made a sample.
    """
    loader = DataLoader(
        _MicroBatches(task, config.seed),
        # A "sample" of the loader is a whole micro-batch: one item, one message from its worker.
        sampler=BatchPlaces(config, len(task), steps, rank, processes),
        batch_size=None,
        num_workers=config.workers,
        # its own generator: the global one belongs to the networks
        generator=torch.Generator(),
        pin_memory=False,
    )
    for made in loader:
        if isinstance(made, SegAssetsError):
            raise made
        yield made


class _MicroBatches(Dataset["MicroBatch | SegAssetsError"]):
    """Micro-batches by the places of their samples."""

    def __init__(self, task: Task, seed: int) -> None:
        self.task = task
        self.seed = seed

    def __getitem__(self, places: list[Place]) -> MicroBatch | SegAssetsError:
        """Make one; an error for the user is handed over as it is, not as a worker's traceback."""
        try:
            samples = [
                self.task.sample(place.index, sample_rng(self.seed, place)) for place in places
            ]
            content = self.task.collate(samples)
        except SegAssetsError as error:
            return error
        return MicroBatch(tuple(place.index for place in places), content)
