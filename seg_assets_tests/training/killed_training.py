"""Trains the line task in a process that kills itself, as hard as an out-of-memory killer."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from seg_assets.storage.local_files import LocalFiles
from seg_assets.training import full_state, loop, run_folder
from seg_assets.training.config import TrainConfig
from seg_assets_tests.training.line import LineParams, LineTask

DISK_CHANGES = ("publish", "swap_folders", "remove_folder")


def train_and_die(
    run_dir: Path, params: LineParams, config: TrainConfig, what: str, count: int
) -> int:
    """Train in another process until it dies.

    Args:
        run_dir: Folder of the run.
        params: Of the task.
        config: Of the training.
        what: "step": it dies at the beginning of step `count`; "disk": right before its change
            number `count` (from 0) to the disk; "fallback": the same on a disk that cannot let
            folders change places; "write": in the middle of writing tensors for the `count`-th time
            (from 0).
        count: When.

    Returns:
        Exit status: -SIGKILL, or 0 if the training ended before that.
    """
    # a server process that has everything imported forks one child per training
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seg_assets_tests.training.warm_training"])
    child = context.Process(target=_train, args=(run_dir, params, config, what, count))
    child.start()
    child.join()
    return child.exitcode if child.exitcode is not None else 1


def _train(run_dir: Path, params: LineParams, config: TrainConfig, what: str, count: int) -> None:
    torch.set_num_threads(1)
    if what == "step":
        loop.optimizer_step = _dying(loop.optimizer_step, [count - 1])
    elif what == "write":
        left = [count]
        for module in (run_folder, full_state):
            module.write_tensors = _half_written(module.write_tensors, left)
    else:
        if what == "fallback":
            LocalFiles.swap_folders = _no_exchange(LocalFiles.swap_folders)
        left = [count]
        for name in DISK_CHANGES:
            setattr(LocalFiles, name, _dying(getattr(LocalFiles, name), left))
    loop.train(LineTask(params), config, run_dir)


def _dying(function: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return function(*arguments, **named)

    return counted


def _half_written(function: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def counted(path: Path, *arguments: Any) -> Any:
        function(path, *arguments)
        if left[0] == 0:
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    return counted


def _no_exchange(function: Callable[..., bool]) -> Callable[..., bool]:
    """As on a file system without the exchange of two folders."""

    def swap(self: LocalFiles, fresh: str, current: str) -> bool:
        return not (self.root / current).exists() and function(self, fresh, current)

    return swap
