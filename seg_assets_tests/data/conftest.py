"""Small image files, tar files and an S3 endpoint on loopback for the tests of `data`."""

import io
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

STARTING_SECONDS = 20


@dataclass(frozen=True)
class S3Server:
    """An S3 endpoint whose buckets are the folders below `root`."""

    root: Path
    storage_options: Mapping[str, Any]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    beside = Path(sys.executable).with_name("rclone")
    rclone = str(beside) if beside.exists() else shutil.which("rclone")
    if rclone is None:
        pytest.skip("rclone is not installed (it comes with the dev extra)")
    root = tmp_path_factory.mktemp("s3")
    (root / "bucket").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = [rclone, "serve", "s3", str(root), "--addr", address]
    command += ["--auth-key", "key,secret", "--vfs-cache-mode", "writes"]
    command += ["--cache-dir", str(tmp_path_factory.mktemp("cache"))]
    # without these two, what was written shows up five seconds later
    command += ["--dir-cache-time", "0", "--vfs-write-back", "0"]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        environment.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_until_open(port)
            yield S3Server(
                root,
                {"key": "key", "secret": "secret", "endpoint_url": f"http://{address}"},
            )
        finally:
            process.terminate()
            process.wait(timeout=10)


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def picture(height: int = 6, width: int = 8, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 noise: every pixel tells where it came from."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: Image.Image | np.ndarray, image_format: str = "PNG", **options: Any) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def write_files(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """An uncompressed tar with the members in the given order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path
