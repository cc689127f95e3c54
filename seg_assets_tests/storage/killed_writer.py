"""Writes the example shard and kills itself, as hard as an out-of-memory killer, on the way.

    python -m seg_assets_tests.storage.killed_writer ROOT STEP {swap,move}

STEP counts the changes that the store makes to the disk; the process dies right before that one.
`move` behaves like a file system whose folders cannot change places.
"""

import os
import signal
import sys
from typing import Any

from seg_assets.storage.local_files import LocalFiles
from seg_assets.storage.store import Store
from seg_assets_tests.storage.examples import write

CHANGES = ("scratch_file", "publish", "move", "swap_folders", "remove", "remove_folder")


def kill_before(step: int) -> None:
    done = 0
    for name in CHANGES:
        change = getattr(LocalFiles, name)

        def counted(*arguments: Any, change: Any = change) -> Any:
            nonlocal done
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            return change(*arguments)

        setattr(LocalFiles, name, counted)


if __name__ == "__main__":
    root, step, mode = sys.argv[1:]
    if mode == "move":
        LocalFiles.swap_folders = lambda self, fresh, current: False
    kill_before(int(step))
    write(Store(root), factor=2)
