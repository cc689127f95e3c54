"""A small chain: tiny seeded models, a few small pictures with ground truth."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.data.shards import Shard, register_shards
from seg_assets.data.sources import find_shards
from seg_assets.masks.params import MaskParams
from seg_assets.storage.store import Store

MANIFEST = """
[sam_tiny]
title = "tiny SAM for tests"
kind = "sam"
config = "tiny"
seed = 0
licence = "Apache-2.0"
input_size = 64
input_side = "long"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
"""

# A random SAM trusts none of its masks, so nothing is dropped for its score.
EVERYTHING = MaskParams(points_per_side=4, pred_iou_thresh=0.0, stability_score_thresh=0.0)


@pytest.fixture
def tiny_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model `sam_tiny` beside the project's own."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "manifest.toml").write_text(MANIFEST)
    monkeypatch.setenv("SEG_MODELS_DIR", str(folder))


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (48, 64)) -> None:
    """Coloured blocks, and base28 ids of the blocks as ground truth."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        random = np.random.default_rng(i)
        ids = np.kron(random.integers(0, 28, (3, 4)), np.ones((16, 16))).astype(np.uint8)
        ids = ids[: size[0], : size[1]]
        colors = random.integers(0, 256, (28, 3)).astype(np.uint8)
        Image.fromarray(colors[ids]).save(folder / "images" / f"picture_{i:03d}.png")
        Image.fromarray(ids).save(folder / "labels" / f"picture_{i:03d}.png")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def shard(tmp_path: Path, store: Store) -> Shard:
    """Three good pictures, one cut short, one that is no picture at all."""
    folder = tmp_path / "pictures"
    write_pictures(folder, 3)
    good = (folder / "images" / "picture_000.png").read_bytes()
    (folder / "images" / "picture_cut.png").write_bytes(good[: len(good) // 2])
    (folder / "images" / "picture_not.jpg").write_text("this is no picture")
    found = find_shards(
        folder / "images",
        prefix="pictures",
        label_root=folder / "labels",
        label_format="png:base28",
    )
    register_shards(store, found)
    return found[0]
