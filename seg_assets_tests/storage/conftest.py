"""Stores on a local disk and on a real S3 endpoint."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from seg_assets.storage.store import Store


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def s3_store(s3: dict[str, Any]) -> Store:
    return Store(f"s3://bucket/{uuid.uuid4().hex}", s3)


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(f"{request.param}_store")
