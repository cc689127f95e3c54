"""The folder of a split: written under a hidden name, put in place or removed in one step."""

import logging
import os
from contextlib import AbstractContextManager
from pathlib import Path

from seg_assets.data.panoptic.layout import SUMMARY_JSON
from seg_assets.storage.local_files import LocalFiles
from seg_assets.storage.names import check_name

logger = logging.getLogger(__name__)


class SplitFolder:
    """A split on this machine, whether it is there yet or not.

    Args:
        root: the folder of the data set.
        split: name of the split.

    Raises:
        InputError: the name cannot be a folder's.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        self.split = check_name(split, "split")
        self._files = LocalFiles(str(Path(root).absolute()))
        self._hidden = f".{split}.unfinished"

    @property
    def hidden(self) -> Path:
        """Where the split is written."""
        return Path(self._files.location(self._hidden))

    def location(self, name: str) -> str:
        """Where a file of the finished split lies."""
        return self._files.location(f"{self.split}/{name}")

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from writing or removing the split.

        Raises:
            StoreError: (on entering) one does.
        """
        owner = f"the split {self.split} in {self._files.location('')}"
        return self._files.lock(f".{self.split}.lock", owner)

    def discard(self) -> None:
        """Remove what was written under the hidden name."""
        self._files.remove_folder(self._hidden)

    def publish(self, summary: bytes) -> None:
        """Write dataset.json and put the split in place of an older one."""
        self._files.write(f"{self._hidden}/{SUMMARY_JSON}", summary)
        if not self._files.swap_folders(self._hidden, self.split):
            # no exchange in one step here: for a moment there is no split of this name
            self._files.remove_folder(self.split)
            self._files.swap_folders(self._hidden, self.split)
        self.discard()

    def remove(self) -> None:
        """Remove the split if this project has written it; any other folder of this name stays.

        Raises:
            StoreError: somebody else writes the split, or the disk refuses.
        """
        if not self._files.exists(f"{self.split}/{SUMMARY_JSON}"):
            return
        with self.lock():
            self.discard()
            self._files.swap_folders(self.split, self._hidden)  # a kill leaves no half of it
            self.discard()
        logger.info("removed the older split %s", self._files.location(self.split))
