"""Two processes train as one with the double batch (S34, S18)."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.result import TrainResult
from seg_assets.training.seem.samples import SegmentationSample
from seg_assets.training.seem.task import SeemTask
from seg_assets_tests.training.seem.shapes import TINY, Shapes, params, tiny_seem

WIRINGS = ("demo", "v1")


class _SomeEmpty(Shapes):
    """Every third picture has no segment: some batches of one process ask for nothing."""

    def __getitem__(self, index: int) -> SegmentationSample:
        sample = super().__getitem__(index)
        if index % 3:
            return sample
        return replace(sample, masks=sample.masks[:0], class_ids=sample.class_ids[:0])


class _PlainDescent(SeemTask):
    """AdamW would make full steps of differences in the last digit."""

    def optimizers(self, config: TrainConfig) -> list[torch.optim.Optimizer]:
        trained = [p for p in self.model.parameters() if p.requires_grad]
        return [torch.optim.SGD([{"params": trained}], lr=config.lr)]


def _train(
    wiring: str, batch_size: int, accumulate: int, folder: Path
) -> tuple[TrainResult, dict[str, Tensor], dict[str, Tensor]]:
    """Without drop path, which draws per process. Drawn prompts, clicks, texts and sentences."""
    network = replace(TINY, drop_path=0.0)
    given = params(
        wiring=wiring, rounds=2, class_texts="random", augmentation="flip", points={"count": 60}
    )
    model = tiny_seem(network)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    task = _PlainDescent(model, _SomeEmpty(8), Shapes(3), given)
    config = TrainConfig(
        steps=2,
        batch_size=batch_size,
        accumulate=accumulate,
        lr=0.01,
        schedule="constant",
        clip_norm=1.0,
        device="cpu",
        seed=2,
        first_logged=2,
    )
    return train(task, config, folder), task.weights(), start


def _train_on_rank(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    for wiring in WIRINGS:
        result, weights, _ = _train(wiring, 1, 2, Path(folder, f"two-{wiring}"))
        torch.save((result.metrics, weights), Path(folder, f"{wiring}-{rank}.pt"))
    torch.distributed.destroy_process_group()


def test_two_processes_train_and_measure_as_one_s34(tmp_path: Path) -> None:
    """Two images per process, one at a time, or all four at once: the same weights and scores."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(_train_on_rank, (port, str(tmp_path)), nprocs=2)
    for wiring in WIRINGS:
        alone, expected, start = _train(wiring, 4, 1, tmp_path / wiring)
        for rank in (0, 1):
            metrics, weights = torch.load(tmp_path / f"{wiring}-{rank}.pt")
            assert metrics.keys() == alone.metrics.keys()
            assert abs(metrics["mIoU"] - alone.metrics["mIoU"]) < 1e-3
            for name, tensor in weights.items():
                assert torch.allclose(tensor, expected[name], atol=1e-5), (wiring, name)
        moved = max(float((expected[name] - start[name]).abs().max()) for name in start)
        assert moved > 1e-3, wiring
