"""Small image files, tar files and an S3 endpoint on loopback for the tests of `data`."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@dataclass(frozen=True)
class S3Server:
    """An S3 endpoint whose buckets are the folders below `root`."""

    root: Path
    storage_options: Mapping[str, Any]


@pytest.fixture(scope="session")
def s3_server(s3: dict[str, Any], s3_root: Path) -> S3Server:
    return S3Server(s3_root, s3)


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
