import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing

from seg_assets.training.config import TrainConfig
from seg_assets.training.loop import train
from seg_assets.training.result import TrainResult
from seg_assets.training.sam.params import PointParams
from seg_assets.training.sam.point import SamPointTask
from seg_assets_tests.training.sam.conftest import Discs, new_small_sam


class _PlainDescent(SamPointTask):
    """AdamW would make full steps of differences in the last digit."""

    def optimizers(self, config: TrainConfig) -> list[torch.optim.Optimizer]:
        trained = [p for p in self.model.parameters() if p.requires_grad]
        return [torch.optim.SGD([{"params": trained}], lr=config.lr)]


def _train(batch_size: int, folder: Path) -> tuple[TrainResult, dict[str, torch.Tensor]]:
    """Images with 2, 0 and 1 objects: some batches of one process are empty."""
    params = PointParams(num_iter=2, objects_per_image=2, objects_per_chunk=3)
    task = _PlainDescent(new_small_sam(), Discs(3, (2, 0, 1)), Discs(3, (2, 1)), params)
    config = TrainConfig(steps=3, batch_size=batch_size, lr=0.1, device="cpu", seed=1)
    result = train(task, config, folder)
    return result, task.weights()


def _train_on_rank(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    result, weights = _train(1, Path(folder, "two"))
    torch.save((result.metrics, weights), Path(folder, f"{rank}.pt"))
    torch.distributed.destroy_process_group()


def test_e1_f11_two_processes_train_and_measure_as_one(tmp_path):
    """1 image per process or 2 in one: same weights, and sums over objects reduced alike.

    Three held-out images over two processes, so that their shares differ.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_train_on_rank, (port, str(tmp_path)), nprocs=2)
    alone, expected = _train(2, tmp_path / "one")
    assert alone.metrics["objects"] == 5
    start = new_small_sam().model.state_dict()
    for rank in (0, 1):
        metrics, weights = torch.load(tmp_path / f"{rank}.pt")
        assert metrics == pytest.approx(alone.metrics, abs=1e-4)
        for name, tensor in weights.items():
            assert torch.allclose(tensor, expected[name], atol=1e-5), name
    moved = max(float((expected[name] - start[name]).abs().max()) for name in start)
    assert moved > 1e-2
