import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seg_assets.errors import InputError, StoreError
from seg_assets.storage.store import Store
from seg_assets_tests.storage.examples import ASSET, SHARD, contents, expected, write


def test_making_a_store_touches_nothing(tmp_path: Path) -> None:
    Store(tmp_path / "absent")
    Store("s3://no-such-bucket/x", {"endpoint_url": "http://127.0.0.1:1"})
    assert list(tmp_path.iterdir()) == []


def test_a_store_travels_to_another_process(store: Store) -> None:
    write(store)
    assert contents(pickle.loads(pickle.dumps(store))) == expected()


def test_a_relative_root_keeps_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("data")
    monkeypatch.chdir("/")
    write(store)
    assert contents(Store(f"file://{tmp_path}/data")) == expected()


def test_secrets_do_not_show_in_its_name() -> None:
    assert "hidden" not in repr(Store("s3://bucket", {"secret": "hidden"}))


def test_any_fsspec_url_will_do() -> None:
    store = Store("memory://test_any_fsspec_url")
    write(store)
    write(store, factor=2)
    assert contents(store) == expected(2)
    assert store.shards(ASSET) == [SHARD]


def test_shards_lists_finished_ones_only(store: Store) -> None:
    assert store.shards(ASSET) == []
    write(store)
    with store.write_shard(ASSET, "b", [], {}):
        assert store.shards(ASSET) == [SHARD]
    with (
        pytest.raises(KeyboardInterrupt),
        store.write_shard(ASSET, "c", ["x"], {}),
    ):
        raise KeyboardInterrupt
    assert store.shards(ASSET) == ["b", SHARD]
    assert store.is_complete(ASSET, "b")
    assert not store.is_complete(ASSET, "c")


def test_delete_removes_the_shard_and_its_unfinished_work(store: Store) -> None:
    write(store)
    with pytest.raises(KeyboardInterrupt):
        write(store, factor=2, stop=KeyboardInterrupt, after=7)
    store.delete(ASSET, SHARD)
    store.delete(ASSET, SHARD)
    assert store.shards(ASSET) == []
    assert write(store, factor=2) == 10


def test_small_files_are_written_replaced_listed_and_removed(store: Store) -> None:
    assert store.list_files("shards") == []
    store.write_bytes("shards/b.parquet", b"1")
    store.write_bytes("shards/a.parquet", b"2")
    store.write_bytes("shards/b.parquet", b"3")
    assert store.list_files("shards") == ["a.parquet", "b.parquet"]
    assert store.read_bytes("shards/b.parquet") == b"3"
    store.remove_bytes("shards/b.parquet")
    store.remove_bytes("shards/b.parquet")
    assert store.list_files("shards") == ["a.parquet"]
    with pytest.raises(FileNotFoundError):
        store.read_bytes("shards/b.parquet")


def test_what_another_store_wrote_is_seen_at_once(store: Store) -> None:
    other = Store(store.root, store.storage_options)
    assert store.list_files("shards") == []
    assert not store.is_complete(ASSET, SHARD)
    other.write_bytes("shards/a.parquet", b"1")
    write(other)
    assert store.list_files("shards") == ["a.parquet"]
    assert store.is_complete(ASSET, SHARD)
    assert store.shards(ASSET) == [SHARD]


@pytest.mark.parametrize("shard", ["../x", "a/b", ".pending"])
def test_shard_names_cannot_leave_their_folder(local_store: Store, shard: str) -> None:
    for call in (local_store.open_shard, local_store.is_complete, local_store.delete):
        with pytest.raises(InputError, match="shard name"):
            call(ASSET, shard)
    with pytest.raises(InputError, match="shard name"):
        local_store.write_shard(ASSET, shard, [], {})


def test_locations_are_for_other_readers(tmp_path: Path) -> None:
    assert Store(tmp_path).location("a/b") == str(tmp_path / "a" / "b")
    assert Store(tmp_path).location() == str(tmp_path)
    assert Store("memory://x/").location("a") == "memory://x/a"


@pytest.mark.parametrize("doing", ["write", "write_bytes", "delete"])
def test_a_file_in_place_of_the_root_is_one_sentence(tmp_path: Path, doing: str) -> None:
    (tmp_path / "file").write_text("I am no folder")
    store = Store(tmp_path / "file")
    calls: dict[str, Any] = {
        "write": lambda: write(store),
        "write_bytes": lambda: store.write_bytes("a/b", b""),
        "delete": lambda: store.delete(ASSET, SHARD),
    }
    with pytest.raises(StoreError, match="a file stands where a folder should be; remove it"):
        calls[doing]()


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    # Not tmp_path: its parents are closed to the other user that a test run by root becomes.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        yield Path(name)
        Path(name).chmod(0o755)


def test_a_store_without_write_permission_is_one_sentence(read_only_folder: Path) -> None:
    script = (
        "import os\n"
        "from seg_assets.errors import StoreError\n"
        "from seg_assets.storage.store import Store\n"
        "if os.geteuid() == 0: os.setuid(65534)  # root may write everywhere\n"
        f"store = Store({str(read_only_folder)!r})\n"
        "try: store.write_bytes('a', b'')\n"
        "except StoreError as error: print(error)\n"
        "try:\n"
        f"    with store.write_shard({ASSET!r}, {SHARD!r}, [], {{}}): pass\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all("permission is denied; allow writing there or choose" in line for line in lines)


def test_a_file_that_grows_too_large_leaves_no_half_file(tmp_path: Path) -> None:
    # A real failure of write(2), through a limit that the child sets for itself.
    script = (
        "import os, resource, signal\n"
        "from seg_assets.errors import StoreError\n"
        "from seg_assets.storage.store import Store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        f"store = Store({str(tmp_path)!r})\n"
        "row = {'method': 'm', 'table': 't', 'pixels': 0, 'ignored': 0}\n"
        "try:\n"
        f"    with store.write_shard({ASSET!r}, {SHARD!r}, ['a', 'b'], {{}}) as writer:\n"
        "        for image_id in writer.pending:\n"
        "            numbers = list(os.urandom(500_000))\n"
        "            writer.add(image_id, [row | {'confusion': numbers}])\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.startswith(f"cannot write {tmp_path}")
    assert "File too large" in done.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_importing_the_store_imports_nothing_heavy() -> None:
    script = (
        "import sys, seg_assets.storage.store, seg_assets.storage.png, seg_assets.storage.arrays\n"
        "print(sorted({'torch', 'cv2', 'matplotlib', 'pandas', 's3fs'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
