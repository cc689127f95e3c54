"""Step time of our training loop against the same model in a plain loop: what the loop costs.

    python benchmarks/training_overhead.py [--network sam] [--steps 5] [--rounds 20] [--threads 1]

Rounds of both kinds take turns in one process, so that a busy machine hits both alike. `sam` is an
image encoder of the demo's size with its many small tensors, `mlp` three large matrices. A step is
samples, forward pass, backward pass, clipping and AdamW; ours also counts targets, seeds, checks
that all is finite and writes a row. Starting and saving are not steps and not measured.
The CPU's seconds of this process are what the machine's other work disturbs least.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seg_assets.modeling.sam import SAM_CONFIGS, build_sam
from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.task import Json, ParameterGroup, Task

BATCH = 2


class RegressionTask(Task):
    """A network that learns noise."""

    name = "regression"
    metric = "none"

    def __init__(self, network: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        if network == "sam":
            self.model: nn.Module = build_sam(SAM_CONFIGS["demo"]).image_encoder
            side = SAM_CONFIGS["demo"].image_size
            self.inputs = torch.randn(8, 3, side, side)
        else:
            self.model = nn.Sequential(
                *(nn.Linear(1536, 1536), nn.GELU(), nn.Linear(1536, 1536), nn.GELU()),
                nn.Linear(1536, 16),
            )
            self.inputs = torch.randn(8, 256, 1536)

    def __len__(self) -> int:
        return len(self.inputs)

    def sample(self, index: int, rng: np.random.Generator) -> Tensor:
        return self.inputs[index]

    def collate(self, samples: list[Tensor]) -> Tensor:
        return torch.stack(samples)

    def trainable(self) -> set[str]:
        return {name for name, _ in self.model.named_parameters()}

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(sorted(self.trainable()))]

    def counts(self, batch: Tensor) -> dict[str, float]:
        return {"samples": float(len(batch))}

    def forward(self, batch: Tensor, counts: Mapping[str, float]) -> dict[str, Tensor]:
        return {"square": self.model(batch).pow(2).flatten(1).mean(1).sum() / counts["samples"]}

    def evaluate(self) -> dict[str, float]:
        return {}

    def weights(self) -> dict[str, Tensor]:
        return {}

    def description(self) -> dict[str, Json]:
        return {}


class Probe:
    """A tracker that notes when each step has ended."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def log(self, row: Mapping[str, Any]) -> None:
        if row["kind"] == "train":
            self.ends.append(now())

    def close(self) -> None: ...


def now() -> tuple[float, float]:
    """The clock, and the CPU seconds of this process."""
    return time.perf_counter(), time.process_time()


def plain_round(task: RegressionTask, steps: int) -> list[tuple[float, float]]:
    """Ends of the steps of a loop as one would write it in a notebook."""
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-5, fused=True)
    task.train()
    rng = np.random.default_rng(0)
    ends = []
    for _ in range(steps):
        indices = rng.integers(len(task), size=BATCH)
        batch = task.collate([task.sample(int(index), rng) for index in indices])
        loss = task.model(batch).pow(2).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(task.model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
        ends.append(now())
    return ends


def our_round(task: RegressionTask, steps: int) -> list[tuple[float, float]]:
    """Ends of the steps of our loop, each with its row of metrics."""
    config = TrainConfig(steps=steps, batch_size=BATCH, lr=1e-5, device="cpu", first_logged=steps)
    probe = Probe()
    with tempfile.TemporaryDirectory() as folder:
        train(task, config, Path(folder), trackers=[probe])
    return probe.ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=["sam", "mlp"], default="sam")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    task = RegressionTask(options.network)
    kinds = {"plain loop": plain_round, "ours": our_round}
    for run in kinds.values():
        run(task, 2)  # imports and caches
    steps: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind, run in kinds.items():
            # the first step makes the optimizer's memory and is not counted
            for (wall, cpu), (next_wall, next_cpu) in pairwise(run(task, options.steps + 1)):
                steps[kind].append((next_wall - wall, next_cpu - cpu))
    print(f"{options.network}, batch {BATCH}: {options.rounds} rounds of {options.steps} steps\n")
    print("| loop | ms per step | CPU ms per step |\n| --- | --- | --- |")
    medians = {}
    for kind, times in steps.items():
        medians[kind] = [statistics.median(column) * 1000 for column in zip(*times, strict=True)]
        print(f"| {kind} | {medians[kind][0]:.1f} | {medians[kind][1]:.1f} |")
    wall, cpu = (
        ours / plain for ours, plain in zip(medians["ours"], medians["plain loop"], strict=True)
    )
    print(f"\nours / plain: {wall:.3f}, by CPU time {cpu:.3f}")


if __name__ == "__main__":
    main()
