import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seg_assets.errors import InputError, StoreError
from seg_assets.exports.folder import MARK, ExportFolder
from seg_assets_tests.conftest import REPOSITORY


def write(out: Path, content: bytes, *, overwrite: bool = False) -> None:
    with ExportFolder(out, overwrite=overwrite) as folder:
        folder.write("a/b.txt", content)
        folder.write(MARK, b"{}")


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with ExportFolder(out) as folder:
        folder.write("a/b.txt", b"1")
        assert not out.exists()
    assert tree(tmp_path) == ["new/out/a/b.txt"]


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", b"1")
    assert tree(tmp_path) == ["out/a/b.txt", f"out/{MARK}"]


def break_off(out: Path, error: type[BaseException]) -> None:
    with ExportFolder(out, overwrite=True) as folder:
        folder.write("a/b.txt", b"new")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        break_off(tmp_path / "out", error)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_older_export(tmp_path: Path) -> None:
    write(tmp_path / "out", b"old")
    with pytest.raises(KeyboardInterrupt):
        break_off(tmp_path / "out", KeyboardInterrupt)
    assert (tmp_path / "out" / "a" / "b.txt").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_older_export_is_replaced_only_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "out", b"old")
    (tmp_path / "out" / "stray.txt").write_text("goes too")
    with pytest.raises(InputError, match="holds an export already: choose another --out"):
        write(tmp_path / "out", b"new")
    write(tmp_path / "out", b"new", overwrite=True)
    assert tree(tmp_path) == ["out/a/b.txt", f"out/{MARK}"]
    assert (tmp_path / "out" / "a" / "b.txt").read_bytes() == b"new"


def test_what_no_export_has_made_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="something that no export has made"):
        write(tmp_path / "out", b"new", overwrite=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file: choose another"):
        write(tmp_path / "file", b"new", overwrite=True)
    assert tree(tmp_path) == ["file", "out/thesis.tex"]


def test_a_url_is_refused() -> None:
    with pytest.raises(InputError, match="s3://bucket/out is no folder of this machine"):
        ExportFolder("s3://bucket/out")
    with pytest.raises(InputError, match="s3:/bucket/out is no folder of this machine"):
        ExportFolder(Path("s3://bucket/out"))


def test_two_exports_do_not_write_one_folder(tmp_path: Path) -> None:
    message = "is being written by another process"
    with ExportFolder(tmp_path / "out"), pytest.raises(StoreError, match=message):
        write(tmp_path / "out", b"1")


KILLED = """
import os, signal, sys
from seg_assets.exports.folder import ExportFolder
with ExportFolder(sys.argv[1], overwrite=True) as folder:
    folder.write("half.txt", b"1")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_the_older_export_stays_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, b"old")
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(out)],
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert run.returncode == -signal.SIGKILL
    assert tree(out) == ["a/b.txt", MARK]
    write(out, b"new", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (out / "a" / "b.txt").read_bytes() == b"new"
