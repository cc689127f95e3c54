import hashlib
from collections import deque

import pytest

from seg_assets.errors import CheckpointError
from seg_assets.modeling import fetch as fetch_module
from seg_assets.modeling.fetch import fetch
from seg_assets_tests.modeling.file_server import FileServer

CONTENT = bytes(range(256)) * 12_000  # 3 MB: twelve pieces
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)
PIECE = 1 << 18  # of the download: what is less than that when the connection breaks, is lost


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(fetch_module, "RETRY_WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server():
    with FileServer(CONTENT).running() as server:
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "weights" / "weights.pt"


def names(target):
    return sorted(path.name for path in target.parent.iterdir())


def break_off(server, target, after=6 * PIECE):
    """Leave a partial download behind, as a killed process would."""
    server.cuts = deque([after] + [0] * 3)
    with pytest.raises(CheckpointError, match="goes on where it stopped"):
        fetch(server.url, target)
    server.cuts.clear()
    server.requests.clear()
    assert names(target) == ["weights.pt.part", "weights.pt.part.json"]


def test_the_file_arrives_whole_and_nothing_else_is_left(server, target):
    seen = []
    fetched = fetch(
        server.url, target, sha256=SHA256, size=SIZE, progress=lambda *step: seen.append(step)
    )
    assert target.read_bytes() == CONTENT
    assert (fetched.bytes, fetched.sha256, fetched.etag) == (SIZE, SHA256, '"one"')
    assert names(target) == ["weights.pt"]
    assert (seen[0], seen[-1]) == ((0, SIZE), (SIZE, SIZE))


def test_a_broken_connection_is_taken_up_where_it_broke(server, target):
    server.cuts = deque([4 * PIECE, 2 * PIECE])
    fetch(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert [r.range for r in server.requests] == [
        None,
        f"bytes={4 * PIECE}-",
        f"bytes={6 * PIECE}-",
    ]


def test_the_next_call_goes_on_where_the_last_one_stopped(server, target):
    break_off(server, target)
    fetched = fetch(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert fetched.sha256 == SHA256
    assert [(r.range, r.status) for r in server.requests] == [(f"bytes={6 * PIECE}-", 206)]


def test_a_complete_partial_file_needs_no_request(server, target):
    break_off(server, target)
    part = target.with_name("weights.pt.part")
    part.write_bytes(CONTENT)
    fetch(server.url, target, sha256=SHA256)
    assert server.requests == []
    assert target.read_bytes() == CONTENT


def test_a_partial_file_longer_than_the_file_is_thrown_away(server, target):
    break_off(server, target)
    target.with_name("weights.pt.part").write_bytes(CONTENT + b"more")
    fetch(server.url, target, sha256=SHA256)
    assert [r.status for r in server.requests] == [416, 200]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("damage", [b"", b"{", b'{"url": 1}'])
def test_a_partial_file_without_its_mark_is_thrown_away(server, target, damage):
    break_off(server, target)
    target.with_name("weights.pt.part.json").write_bytes(damage)
    fetch(server.url, target, sha256=SHA256)
    assert [r.range for r in server.requests] == [None]
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_all_again(server, target):
    break_off(server, target)
    server.ranges = False
    fetch(server.url, target, sha256=SHA256)
    assert [(r.range, r.status) for r in server.requests] == [(f"bytes={6 * PIECE}-", 200)]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ['"two"', None])
def test_a_changed_file_is_downloaded_from_the_start(server, target, etag):
    break_off(server, target)
    server.content, server.etag = CONTENT[::-1], etag
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT[::-1]


def test_a_changed_size_is_noticed_without_a_version_mark(server, target):
    server.etag = None
    break_off(server, target)
    server.content = CONTENT + b"more"
    fetch(server.url, target)
    assert [r.status for r in server.requests] == [206, 200]
    assert target.read_bytes() == CONTENT + b"more"


def test_a_weak_version_mark_is_compared_here(server, target):
    server.etag = 'W/"one"'
    break_off(server, target)
    server.content, server.etag = CONTENT[::-1], 'W/"two"'
    fetch(server.url, target)
    assert [r.status for r in server.requests] == [206, 200]
    assert target.read_bytes() == CONTENT[::-1]


def test_another_address_does_not_take_up_the_partial_file(server, target):
    break_off(server, target)
    fetch(server.url + "?v=2", target, sha256=SHA256)
    assert [r.range for r in server.requests] == [None]


def test_wrong_bytes_are_not_kept(server, target):
    with pytest.raises(CheckpointError, match=f"sha256 {SHA256} where 00ff is expected"):
        fetch(server.url, target, sha256="00ff")
    assert names(target) == []


def test_wrong_bytes_leave_an_older_file_alone(server, target):
    target.parent.mkdir()
    target.write_bytes(b"older")
    with pytest.raises(CheckpointError):
        fetch(server.url, target, sha256="00ff")
    assert target.read_bytes() == b"older"


def test_a_file_of_another_size_is_not_even_downloaded(server, target):
    with pytest.raises(CheckpointError, match=f"offers {SIZE} bytes where 12 are expected"):
        fetch(server.url, target, size=12)
    assert names(target) == []


def test_a_web_page_instead_of_weights_is_refused(server, target):
    server.content = b"\n<!DOCTYPE html><title>Please log in</title>"
    with pytest.raises(CheckpointError, match="is a web page, not a weights file"):
        fetch(server.url, target)
    assert names(target) == []


def test_an_unknown_length_is_no_obstacle(server, target):
    server.content_length = False
    seen = []
    fetch(server.url, target, sha256=SHA256, progress=lambda *step: seen.append(step))
    assert seen[-1] == (SIZE, None)


def test_a_busy_server_is_asked_again(server, target):
    server.statuses = deque([503, 429, 500])
    fetch(server.url, target, sha256=SHA256)
    assert [r.status for r in server.requests] == [503, 429, 500, 200]


def test_a_server_that_stays_busy_is_given_up(server, target):
    server.statuses = deque([503] * 9)
    with pytest.raises(CheckpointError, match="answered 503 Service Unavailable; run the same"):
        fetch(server.url, target)
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final_and_said_at_once(server, target, status):
    server.statuses = deque([status])
    with pytest.raises(CheckpointError, match=f"weights.pt answered {status} "):
        fetch(server.url, target)
    assert len(server.requests) == 1


def test_no_server_is_one_sentence(server, target):
    with pytest.raises(CheckpointError, match=r"connection to 127\.0\.0\.1 failed"):
        fetch("http://127.0.0.1:9/weights.pt", target)


def test_redirects_are_followed(server, target):
    server.redirects = {"/weights.pt": "/cdn/1", "/cdn/1": server.url.replace("weights", "real")}
    fetch(server.url, target, sha256=SHA256)
    assert [r.path for r in server.requests] == ["/weights.pt", "/cdn/1", "/real.pt"]


@pytest.mark.parametrize(
    "place", ["http://example.invalid/x.pt", "ftp://127.0.0.1/x.pt", "file:///x"]
)
def test_redirects_away_from_https_are_refused(server, target, place):
    server.redirects = {"/weights.pt": place}
    with pytest.raises(CheckpointError, match="redirected from .* is refused: .* https only"):
        fetch(server.url, target)


def test_endless_redirects_are_given_up(server, target):
    server.redirects = {"/weights.pt": "/weights.pt"}
    with pytest.raises(CheckpointError, match="redirects more than 10 times"):
        fetch(server.url, target)


def test_plain_http_is_refused_beyond_this_machine(target):
    with pytest.raises(CheckpointError, match="by https only"):
        fetch("http://example.invalid/weights.pt", target)


def test_a_full_disk_is_noticed_before_the_download(server, target, monkeypatch):
    usage = type("Usage", (), {"free": SIZE})
    monkeypatch.setattr(fetch_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CheckpointError, match="set SEG_MODELS_DIR to another disk"):
        fetch(server.url, target)


def test_a_folder_that_cannot_be_made_is_one_sentence(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written .*SEG_MODELS_DIR"):
        fetch(server.url, tmp_path / "file" / "weights.pt")
