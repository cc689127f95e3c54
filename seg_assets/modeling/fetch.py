"""Download one large file so that it ends up whole, or not at all.

The bytes go to `<target>.part`, which is hashed while it grows and renamed at the very end.
Whatever stops a download, the next one goes on where it stood; it starts over when the server's
file has changed.
"""

import logging
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from seg_assets.errors import CheckpointError
from seg_assets.modeling.partial_file import PARTIAL_SUFFIX, Mark, PartialFile
from seg_assets.modeling.weights_file import other_kind

_log = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with the bytes there are so far, and how many there will be (None: nobody knows)."""

RETRY_WAITS = (1.0, 2.0, 4.0)
"""Seconds before each new attempt; the count starts anew whenever bytes have come in between."""

_CHUNK = 1 << 18
_TIMEOUT = (10, 60)
_MAX_REDIRECTS = 10
_SPARE_DISK = 64 << 20
_PASSING_TROUBLE = {408, 425, 429, 500, 502, 503, 504}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Fetched:
    """What came: size, SHA-256 as 64 hex digits, and the server's version mark."""

    bytes: int
    sha256: str
    etag: str | None


class _InterruptedError(Exception):
    """The transfer stopped for a reason that may pass."""


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Download `url` to `target`, resuming what an earlier call left.

    Args:
        url: An https address; plain http is for this machine's own servers (loopback) only.
        target: Where the file shall be; replaced as a whole when all bytes are there and right.
        sha256: Hash that the file must have.
        size: Size that the file must have.
        progress: Told about every piece that comes in.

    Raises:
        CheckpointError: The address is refused, the server or the disk gives up, or the bytes are
            not the expected ones (in that case nothing is kept).
    """
    part = _open_part(target)
    waits = iter(RETRY_WAITS)
    with requests.Session() as session:
        while True:
            before = part.size
            try:
                _receive(session, url, part, size, progress)
                break
            except _InterruptedError as stop:
                if part.size > before:
                    waits = iter(RETRY_WAITS)
                wait = next(waits, None)
                if wait is None:
                    raise CheckpointError(
                        f"{url} could not be downloaded: {stop}; "
                        "run the same command again, it goes on where it stopped"
                    ) from stop
                _log.warning("%s; trying again in %g s", stop, wait)
                time.sleep(wait)
    _check(url, part, sha256)
    fetched = Fetched(part.size, part.digest.hexdigest(), part.mark.etag if part.mark else None)
    part.finish(target)
    return fetched


def _open_part(target: Path) -> PartialFile:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return PartialFile(target.with_name(target.name + PARTIAL_SUFFIX))
    except OSError as error:
        raise _cannot_write(target, error) from error


def _receive(
    session: requests.Session,
    url: str,
    part: PartialFile,
    size: int | None,
    progress: Progress | None,
) -> None:
    """One attempt: ask for what is missing and append it to `part`."""
    if part.mark is not None and part.mark.url != url:
        part.discard()
    if part.mark is not None and part.size == part.mark.total:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": f"seg-assets/{_version()}"}
    if part.mark is not None and part.size > 0:
        headers["Range"] = f"bytes={part.size}-"
        if part.mark.etag and not part.mark.etag.startswith("W/"):
            headers["If-Range"] = part.mark.etag
    try:
        with _get(session, url, headers) as response:
            total = _accept(response, url, part)
            if size is not None and total not in (None, size):
                part.discard()
                raise CheckpointError(
                    f"{url} offers {total} bytes where {size} are expected: it is another file"
                )
            _check_disk(part, total)
            _append(response, part, total, progress)
    except requests.exceptions.SSLError as error:
        host = urlsplit(url).hostname
        raise CheckpointError(f"the certificate of {host} was not accepted: {error}") from error
    except requests.RequestException as error:
        host = urlsplit(url).hostname
        raise _InterruptedError(f"the connection to {host} failed ({_reason(error)})") from error
    except OSError as error:
        raise _cannot_write(part.path, error) from error


def _get(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    """Follow redirects by hand: each address is looked at before it is asked."""
    address = url
    for _ in range(_MAX_REDIRECTS):
        _check_address(address, url)
        response = session.get(
            address, headers=headers, stream=True, timeout=_TIMEOUT, allow_redirects=False
        )
        if not response.is_redirect:
            return response
        response.close()
        address = urljoin(address, response.headers["Location"])
    raise CheckpointError(f"{url} redirects more than {_MAX_REDIRECTS} times, so it was given up")


def _check_address(address: str, first: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "https":
        return
    local = parts.hostname in _LOOPBACK and urlsplit(first).hostname in _LOOPBACK
    if parts.scheme == "http" and local:
        return
    came_from = "" if address == first else f" (redirected from {first})"
    raise CheckpointError(f"{address}{came_from} is refused: weights are downloaded by https only")


def _accept(response: requests.Response, url: str, part: PartialFile) -> int | None:
    """Look at the answer's head; make `part` ready for its body. Returns the whole file's size."""
    status = response.status_code
    etag = response.headers.get("ETag")
    if status in _PASSING_TROUBLE:
        raise _InterruptedError(f"{urlsplit(url).hostname} answered {status} {response.reason}")
    if status == requests.codes.partial_content and part.mark is not None:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        same = found and (int(found[1]), int(found[2])) == (part.size, part.mark.total)
        if same and etag == part.mark.etag:
            return part.mark.total
    if status in (requests.codes.partial_content, requests.codes.requested_range_not_satisfiable):
        part.discard()
        raise _InterruptedError("the server's file has changed, so the download starts over")
    if status != requests.codes.ok:
        raise CheckpointError(
            f"{url} answered {status} {response.reason}: the file may have moved; "
            "see its model card, or put the file there by hand"
        )
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else None
    part.start(Mark(url=url, total=total, etag=etag))
    return total


def _check_disk(part: PartialFile, total: int | None) -> None:
    if total is None:
        return
    free = shutil.disk_usage(part.path.parent).free
    needed = total - part.size + _SPARE_DISK
    if free < needed:
        raise CheckpointError(
            f"{part.path.parent} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed: "
            "make room, or set SEG_MODELS_DIR to another disk"
        )


def _append(
    response: requests.Response, part: PartialFile, total: int | None, progress: Progress | None
) -> None:
    with part.path.open("ab") as file:
        if progress is not None:
            progress(part.size, total)
        for chunk in response.iter_content(_CHUNK):
            part.append(file, chunk)
            if progress is not None:
                progress(part.size, total)
    if total is not None and part.size != total:
        if part.size > total:
            part.discard()
        raise _InterruptedError(f"the server stopped after {part.size} of {total} bytes")


def _check(url: str, part: PartialFile, sha256: str | None) -> None:
    """The last look before the file gets its name."""
    kind = other_kind(part.path)
    if kind is not None:
        part.discard()
        raise CheckpointError(f"what {url} answered {kind}, not a weights file; nothing was kept")
    found = part.digest.hexdigest()
    if sha256 is not None and found != sha256.lower():
        size = part.size
        part.discard()
        raise CheckpointError(
            f"the {size} bytes from {url} have sha256 {found} where {sha256} is expected; "
            "nothing was kept: try again, or get the file elsewhere"
        )


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "it broke off"
    return type(error).__name__


def _cannot_write(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be written ({error.strerror}): "
        "set SEG_MODELS_DIR to a folder that is yours to write to"
    )


def _version() -> str:
    try:
        return version("seg_assets")
    except PackageNotFoundError:
        return "0"
