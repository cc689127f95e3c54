import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq
import pytest

from seg_assets.errors import InputError, StoreError
from seg_assets.storage.local_files import LocalFiles
from seg_assets.storage.part import PartWriter
from seg_assets.storage.store import Store
from seg_assets_tests.storage.examples import (
    ASSET,
    BAD,
    IMAGES,
    SHARD,
    contents,
    digests,
    expected,
    rows_of,
    write,
)

REPOSITORY = Path(__file__).parents[2]


class Interrupted(BaseException):
    """Stands for Ctrl-C and the like: no Exception."""


def interrupt_after(store: Store, images: int, factor: int = 1) -> None:
    with pytest.raises(Interrupted):
        write(store, factor=factor, stop=Interrupted, after=images)


def test_a_written_shard_reads_back_in_order(store: Store) -> None:
    assert write(store) == 10
    assert contents(store) == expected()
    assert list(contents(store)) == [image_id for image_id in IMAGES if image_id != BAD]


def test_a_complete_shard_of_the_same_provenance_is_reused(store: Store) -> None:
    write(store)
    with store.write_shard(ASSET, SHARD, IMAGES, {"factor": 1}, images_per_part=3) as writer:
        assert writer.pending == []
        assert writer.reused == 10
    assert contents(store) == expected()


def test_recompute_writes_a_complete_shard_again(store: Store) -> None:
    write(store)
    assert write(store, recompute=True) == 10
    assert contents(store) == expected()


def test_recompute_with_other_results_replaces_them(store: Store) -> None:
    write(store)
    with store.write_shard(
        ASSET, SHARD, IMAGES, {"factor": 1}, images_per_part=3, recompute=True
    ) as writer:
        for image_id in writer.pending:
            writer.add(image_id, [])
    assert set(map(len, contents(store).values())) == {0}
    assert store.open_shard(ASSET, SHARD).failed == {}


def test_an_interrupted_shard_goes_on_after_its_finished_parts(store: Store) -> None:
    interrupt_after(store, 7)  # two parts of three images and one image of the third
    assert not store.is_complete(ASSET, SHARD)
    with store.write_shard(ASSET, SHARD, IMAGES, {"factor": 1}, images_per_part=3) as writer:
        assert writer.reused == 6
        assert writer.pending == IMAGES[6:]
        for image_id in writer.pending:
            writer.add(image_id, rows_of(image_id))
    assert contents(store) == expected()


def test_failures_survive_a_restart(store: Store) -> None:
    interrupt_after(store, 7)
    write(store)
    reader = store.open_shard(ASSET, SHARD)
    assert reader.failed == {BAD: ("read", "it is truncated")}
    assert reader.errors().to_pylist() == [
        {"image_id": BAD, "stage": "read", "message": "it is truncated"}
    ]


def test_recompute_throws_the_parts_of_an_interrupted_run_away(local_store: Store) -> None:
    interrupt_after(local_store, 7)
    assert write(local_store, recompute=True) == 10


def test_an_interrupted_run_leaves_no_unfinished_file(local_store: Store) -> None:
    interrupt_after(local_store, 7)
    files = [path.name for path in Path(local_store.root).rglob("*") if path.is_file()]
    assert sorted(name[:10] for name in files) == ["part-00000", "part-00001"]


def test_finished_parts_are_not_touched_by_the_next_run(local_store: Store) -> None:
    interrupt_after(local_store, 7)
    before = {path.name: path.stat() for path in Path(local_store.root).rglob("*.parquet")}
    assert len(before) == 2
    write(local_store)
    folder = Path(local_store.location(f"{ASSET}/{SHARD}"))
    for name, stat in before.items():
        after = (folder / name).stat()
        assert (after.st_ino, after.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)


def test_a_replacement_is_said_and_reuse_is_none(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    write(store)
    write(store)
    assert "made anew" not in caplog.text
    write(store, factor=2)
    assert f"{ASSET}/{SHARD} is of other inputs or parameters: made anew" in caplog.text


def test_a_replacement_shows_the_old_shard_until_it_is_finished(store: Store) -> None:
    write(store, factor=1)
    reader = store.open_shard(ASSET, SHARD)
    interrupt_after(store, 9, factor=5)
    assert contents(store) == expected(1)
    with store.write_shard(ASSET, SHARD, IMAGES, {"factor": 5}, images_per_part=3) as writer:
        assert writer.reused == 9
        assert dict(reader) == expected(1)
        writer.add(IMAGES[9], rows_of(IMAGES[9], 5))
        assert contents(store) == expected(1)
    assert contents(store) == expected(5)


def test_a_replacement_leaves_nothing_of_the_old_shard(store: Store) -> None:
    write(store, factor=1)
    write(store, factor=2, images=IMAGES[:3])
    files = store.list_files(f"{ASSET}/{SHARD}")
    assert [name.split("-")[0] for name in files] == ["_manifest.json", "part"]


def test_a_reader_of_a_replaced_shard_is_told_to_open_it_again(store: Store) -> None:
    write(store, factor=1)
    reader = store.open_shard(ASSET, SHARD)
    write(store, factor=2)
    with pytest.raises(StoreError, match="open it again"):
        reader.rows(IMAGES[0])


def test_other_files_see_only_finished_shards(local_store: Store) -> None:
    interrupt_after(local_store, 7)
    assert list(Path(local_store.root).glob(f"{ASSET}/**/*.parquet")) == []
    write(local_store)
    paths = sorted(Path(local_store.root).glob(f"{ASSET}/**/*.parquet"))
    assert sum(pq.read_metadata(path).num_rows for path in paths) == sum(
        map(len, expected().values())
    )


def run_killed_writer(root: Path, step: int, mode: str) -> bool:
    """Return whether the process was killed; otherwise it came to its end."""
    command = [sys.executable, "-m", "seg_assets_tests.storage.killed_writer"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command += [str(root), str(step), mode]
    status = subprocess.run(command, env=environment, cwd=root.parent, check=False).returncode
    assert status in {0, -signal.SIGKILL}
    return status != 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["swap", "move"])
def test_killed_before_any_change_to_the_disk_it_goes_on_to_the_same_bytes(
    tmp_path: Path, mode: str
) -> None:
    undisturbed = Store(tmp_path / "undisturbed")
    write(undisturbed, factor=2)
    wanted = digests(Path(undisturbed.root))
    steps = 0
    while True:
        root = tmp_path / f"killed-{steps}"
        store = Store(root)
        write(store, factor=1)
        if not run_killed_writer(root, steps, mode):
            break
        steps += 1
        if not (mode == "move" and not store.is_complete(ASSET, SHARD)):
            assert contents(store) in (expected(1), expected(2))
        finished = {p: p.stat().st_ino for p in root.rglob("part-*.parquet")}
        write(store, factor=2)
        assert contents(store) == expected(2)
        assert digests(root) == wanted
        # No finished part of the new shard was written again.
        now = {p.name: p.stat().st_ino for p in root.rglob("part-*.parquet")}
        kept = {p.name: inode for p, inode in finished.items() if p.name in now}
        assert kept == {name: now[name] for name in kept}
    assert steps >= 10


def test_killed_in_the_first_run_plain_readers_see_nothing(tmp_path: Path) -> None:
    # Step 9: all parts are written and published, the folders have not changed places.
    assert run_killed_writer(tmp_path, 9, "swap")
    assert list(tmp_path.glob(f"{ASSET}/**/*.parquet")) == []
    assert len(list(tmp_path.glob(".pending/**/*.parquet"))) == 4


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "text", "foreign"])
def test_a_broken_part_of_an_earlier_run_is_done_again(local_store: Store, damage: str) -> None:
    interrupt_after(local_store, 7)
    part = next(Path(local_store.root).rglob("part-00001*.parquet"))
    data = bytearray(part.read_bytes())
    if damage == "truncated":
        part.write_bytes(data[:-20])
    elif damage == "flipped":
        with pq.ParquetFile(part) as parquet:
            chunk = parquet.metadata.row_group(0).column(1)
        data[chunk.data_page_offset + chunk.total_compressed_size - 2] ^= 0xFF
        part.write_bytes(data)
    elif damage == "foreign":
        part.write_bytes(next(Path(local_store.root).rglob("part-00000*.parquet")).read_bytes())
    else:
        part.write_bytes(b"" if damage == "empty" else b"not a Parquet file at all")
    with local_store.write_shard(ASSET, SHARD, IMAGES, {"factor": 1}, images_per_part=3) as writer:
        assert writer.pending == IMAGES[3:]
        for image_id in writer.pending:
            writer.fail(image_id, "read", "x")


def test_a_finished_shard_that_lost_a_part_does_only_that_again(store: Store) -> None:
    write(store)
    lost = store.list_files(f"{ASSET}/{SHARD}")[2]
    store.remove_bytes(f"{ASSET}/{SHARD}/{lost}")
    assert write(store) == 3
    assert contents(store) == expected()


def test_retrying_writes_the_parts_with_failures_again_and_no_others(store: Store) -> None:
    write(store)
    mended = expected() | {BAD: [{"image_id": BAD, **row} for row in rows_of(BAD)]}
    kept = {part.name: part for part in store.open_shard(ASSET, SHARD).manifest.parts}
    with store.write_shard(
        ASSET, SHARD, IMAGES, {"factor": 1}, images_per_part=3, retry_failed=True
    ) as writer:
        assert BAD in writer.pending
        assert len(writer.pending) == 3
        for image_id in writer.pending:
            writer.add(image_id, rows_of(image_id))
    reader = store.open_shard(ASSET, SHARD)
    assert not reader.failed
    assert contents(store) == {image_id: mended[image_id] for image_id in IMAGES}
    same = [part.name for part in reader.manifest.parts if part == kept[part.name]]
    assert len(same) == len(kept) - 1


def test_a_shard_with_a_damaged_manifest_gets_a_new_one(local_store: Store) -> None:
    write(local_store)
    before = digests(Path(local_store.root))
    Path(local_store.root, ASSET, SHARD, "_manifest.json").write_bytes(b'{"format": 1,')
    with pytest.raises(StoreError, match=r"manifest\.json is damaged"):
        local_store.open_shard(ASSET, SHARD)
    assert write(local_store) == 0
    assert digests(Path(local_store.root)) == before


def test_a_second_writer_of_the_same_shard_is_refused(local_store: Store) -> None:
    with local_store.write_shard(ASSET, SHARD, [], {}):
        with (
            pytest.raises(StoreError, match="shard city of evaluation_metrics is being written"),
            local_store.write_shard(ASSET, SHARD, [], {}),
        ):
            pass
        with pytest.raises(StoreError, match="being written"):
            local_store.delete(ASSET, SHARD)
        with local_store.write_shard(ASSET, "other", [], {}):
            pass
    with local_store.write_shard(ASSET, SHARD, [], {}) as writer:
        assert writer.manifest is not None


def test_a_shard_without_images_is_complete_and_has_columns(store: Store) -> None:
    assert write(store, images=[]) == 0
    assert store.is_complete(ASSET, SHARD)
    reader = store.open_shard(ASSET, SHARD)
    assert reader.image_ids == []
    assert reader.read().num_rows == 0
    assert len(store.list_files(f"{ASSET}/{SHARD}")) == 2


def test_a_shard_whose_images_all_failed_is_complete(store: Store) -> None:
    with store.write_shard(ASSET, SHARD, IMAGES, {}) as writer:
        for image_id in writer.pending:
            writer.fail(image_id, "read", "no")
    reader = store.open_shard(ASSET, SHARD)
    assert reader.image_ids == []
    assert list(reader.failed) == IMAGES
    assert reader.manifest.totals["failed"] == 10


@pytest.mark.parametrize("wrong", [IMAGES[1], "unknown"])
def test_images_come_in_the_order_of_pending(local_store: Store, wrong: str) -> None:
    with (
        pytest.raises(StoreError, match=f"got image '{wrong}' but 'street/000' is next"),
        local_store.write_shard(ASSET, SHARD, IMAGES, {}) as writer,
    ):
        writer.add(wrong, [])


def test_leaving_early_is_an_error_that_counts_the_missing_images(local_store: Store) -> None:
    with (
        pytest.raises(StoreError, match="9 images were neither added nor failed"),
        local_store.write_shard(ASSET, SHARD, IMAGES, {}) as writer,
    ):
        writer.add(IMAGES[0], [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": ["a", "b", "a"]}, r"names images twice: \['a'\]"),
        ({"images_per_part": 0}, "images_per_part is at least 1"),
        ({"factor": float("nan")}, "not plain JSON"),
        ({"factor": object()}, "not plain JSON"),
    ],
)
def test_wrong_usage_is_refused(local_store: Store, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write(local_store, **changes)


def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(local_store: Store) -> None:
    interrupt_after(local_store, 3)
    full = OSError(28, "No space left on device")
    with (
        mock.patch("pyarrow.parquet.ParquetWriter.write_table", side_effect=full),
        pytest.raises(StoreError, match=r"cannot write .*part-00001.*: no space is left; free"),
    ):
        write(local_store)
    assert len([path for path in Path(local_store.root).rglob("*") if path.is_file()]) == 1
    assert write(local_store) == 7


def test_no_image_is_written_after_an_error(local_store: Store) -> None:
    writer = local_store.write_shard(ASSET, SHARD, IMAGES, {}).__enter__()
    with (
        mock.patch.object(PartWriter, "add", side_effect=StoreError("full")),
        pytest.raises(StoreError, match="full"),
    ):
        writer.add(IMAGES[0], [])
    with pytest.raises(StoreError, match="cannot go on after an error"):
        writer.add(IMAGES[0], [])
    with pytest.raises(StoreError, match="is not finished"):
        writer.__exit__(None, None, None)


def test_the_same_bytes_where_folders_cannot_change_places(tmp_path: Path) -> None:
    swapped, moved = Store(tmp_path / "swapped"), Store(tmp_path / "moved")
    for store in (swapped, moved):
        with mock.patch.object(
            LocalFiles, "swap_folders", LocalFiles.swap_folders if store is swapped else no_swap
        ):
            write(store, factor=1)
            write(store, factor=2)
            write(store, factor=2, recompute=True)
    assert digests(tmp_path / "swapped") == digests(tmp_path / "moved")


def no_swap(self: LocalFiles, fresh: str, current: str) -> bool:
    return False
