"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SHARED = Path(os.environ.get("SEG_SHARED_DIR", REPOSITORY.parent / "shared"))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with golden numbers and sample data, beside the checkout; users have none."""
    if not SHARED.is_dir():
        pytest.skip(f"the project's reference data is not at {SHARED}, where developers have it")
    return SHARED
