import errno
import threading
from pathlib import Path
from unittest import mock

import pytest

from seg_assets.errors import StoreError
from seg_assets.storage import local_files
from seg_assets.storage.local_files import LocalFiles


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(str(tmp_path))


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(
    files: LocalFiles, tmp_path: Path
) -> None:
    files.write("a", b"old")
    with (
        mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, "full")),
        pytest.raises(StoreError, match="no space is left; free some and run again"),
    ):
        files.write("a", b"new")
    assert files.read("a") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_folders_change_places_in_one_step(files: LocalFiles) -> None:
    files.write("fresh/a", b"new")
    files.write("current/a", b"old")
    files.write("current/b", b"old")
    assert files.swap_folders("fresh", "current")
    assert files.list_files("current") == ["a"]
    assert files.list_files("fresh") == ["a", "b"]


def test_a_free_place_is_taken_by_a_rename(files: LocalFiles) -> None:
    files.write("fresh/a", b"new")
    assert files.swap_folders("fresh", "new/current")
    assert files.list_folders("") == ["new"]


@pytest.mark.parametrize("missing", ["no such call", "not on this file system"])
def test_a_system_without_exchange_says_so(files: LocalFiles, missing: str) -> None:
    files.write("fresh/a", b"new")
    files.write("current/a", b"old")
    library = mock.Mock(spec=[] if missing == "no such call" else ["renameat2"])
    library.renameat2 = mock.Mock(return_value=-1)
    if missing == "no such call":
        del library.renameat2
    with (
        mock.patch.object(local_files.ctypes, "CDLL", return_value=library),
        mock.patch.object(local_files.ctypes, "get_errno", return_value=errno.EINVAL),
    ):
        assert not files.swap_folders("fresh", "current")
    assert files.read("current/a") == b"old"


def test_a_lock_is_held_by_one_at_a_time_and_leaves_no_file(files: LocalFiles) -> None:
    held, most, lock = 0, 0, threading.Lock()

    def take_turns() -> None:
        nonlocal held, most
        for _ in range(200):
            try:
                with files.lock("x.lock", "x"):
                    with lock:
                        held += 1
                        most = max(most, held)
                    with lock:
                        held -= 1
            except StoreError:
                continue

    threads = [threading.Thread(target=take_turns) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert files.list_files("") == []
