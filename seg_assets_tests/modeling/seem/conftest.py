"""The small reference model, loaded once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from seg_assets_tests.modeling.seem.golden import Golden, load_small


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="session")
def small_dir(shared_dir: Path) -> Path:
    return shared_dir / "golden" / "seem" / "golden_small"


@pytest.fixture(scope="session")
def golden(small_dir: Path) -> Golden:
    return load_small(small_dir)
