import dataclasses
import hashlib
import json
import logging
import multiprocessing

import pytest

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.download import download, verify
from seg_assets.modeling.manifest import ModelEntry, entry, weights_path
from seg_assets_tests.modeling.file_server import FileServer

CONTENT = b"PK\x03\x04" + bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server():
    with FileServer(CONTENT).running() as server:
        yield server


def an_entry(server, **changes) -> ModelEntry:
    return dataclasses.replace(
        entry("seem_focall_v1"), name="mine", url=server.url, sha256=None, **changes
    )


def test_a_published_hash_is_what_counts(server):
    mine = dataclasses.replace(an_entry(server), sha256=SHA256, bytes=len(CONTENT))
    path = download(mine)
    assert path == weights_path(mine)
    assert path.read_bytes() == CONTENT
    assert verify(mine) == "known hash"
    assert not path.with_name("weights.pt.lock.json").exists()


def test_without_a_published_hash_the_first_download_is_recorded_and_says_so(server, caplog):
    mine = an_entry(server)
    path = download(mine)
    record = json.loads(path.with_name("weights.pt.lock.json").read_text())
    assert record.pop("date")
    assert record == {
        "url": server.url, "bytes": len(CONTENT), "sha256": SHA256, "etag": '"one"',
    }  # fmt: skip
    assert "No hash of mine is published, so nobody has vouched for this file" in caplog.text
    assert verify(mine) == "own record"


def test_later_downloads_must_agree_with_the_record(server):
    mine = an_entry(server)
    path = download(mine)
    path.unlink()
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(CheckpointError, match=f"where {SHA256} is expected"):
        download(mine)
    assert not path.exists()
    assert download(mine, force=True).read_bytes() == server.content
    assert verify(mine) == "own record"


def test_a_file_that_is_there_is_checked_instead_of_downloaded(server):
    mine = an_entry(server)
    path = download(mine)
    download(mine)
    assert len(server.requests) == 1
    path.write_bytes(CONTENT[:1000])
    with pytest.raises(CheckpointError, match="damaged or another file.*--force"):
        download(mine)
    assert download(mine, force=True).read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_recorded_when_it_is_verified(server, caplog):
    mine = an_entry(server)
    path = weights_path(mine)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert verify(mine) == "recorded now"
    assert verify(mine) == "own record"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match="damaged or another file"):
        verify(mine)


def test_a_missing_file_says_how_to_get_it(server):
    with pytest.raises(CheckpointError, match="run `seg-assets models download mine`"):
        verify(an_entry(server))


def test_random_weights_have_nothing_to_download_or_verify(server):
    stand_in = dataclasses.replace(an_entry(server), url=None, file="not_there.pt", seed=0)
    assert verify(stand_in) == "no weights needed"
    with pytest.raises(InputError, match="nothing to download"):
        download(stand_in)


def test_a_damaged_record_is_one_sentence(server):
    mine = an_entry(server)
    path = download(mine)
    path.with_name("weights.pt.lock.json").write_text("{")
    with pytest.raises(CheckpointError, match="the record .* is damaged"):
        verify(mine)


def test_a_folder_that_cannot_be_written_is_one_sentence(server, tmp_path):
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written .*SEG_MODELS_DIR"):
        download(an_entry(server))


def _download_and_count(mine, queue):
    logging.disable()
    pieces = []
    download(mine, progress=lambda *step: pieces.append(step))
    queue.put(len(pieces))


def test_processes_that_want_the_same_file_download_it_once(server):
    mine = dataclasses.replace(an_entry(server), sha256=SHA256)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_download_and_count, args=(mine, queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    pieces = sorted(queue.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    queue.close()
    queue.join_thread()
    assert pieces[:2] == [0, 0]
    assert len(server.requests) == 1
    assert verify(mine) == "known hash"
