"""Data of a few small pictures, for trainings of a few steps."""

from pathlib import Path
from typing import Any

from seg_assets.data.panoptic.categories import Category, CategoryTable
from seg_assets.data.panoptic.dataset import build_dataset
from seg_assets.data.panoptic.params import GroundingParams
from seg_assets.data.sources import find_shards
from seg_assets_tests.stages.conftest import write_pictures

CATEGORIES = CategoryTable(
    (
        Category(1, "building", (180, 30, 30), is_thing=False),
        Category(2, "sky", (30, 90, 200), is_thing=False),
        Category(7, "car", (20, 160, 60), is_thing=True),
        Category(9, "road", (90, 90, 90), is_thing=False),
    )
)
SEEM_PARAMS: dict[str, Any] = {
    "image_size": 64,
    "small_images": True,
    "augmentation": "none",
    "points": {"count": 64},
    "spatial": 0.0,
    "grounding": 0.0,
}
"""As little as a step of the small SEEM can do."""


def write_panoptic(root: Path, train: int = 3, validation: int = 1) -> Path:
    """Splits "train" and "validation" of coloured blocks below `root`, in `CATEGORIES`."""
    for split, count in (("train", train), ("validation", validation)):
        pictures = root.parent / f"{root.name}_pictures" / split
        write_pictures(pictures, count)
        shards = find_shards(
            pictures / "images",
            prefix=split,
            label_root=pictures / "labels",
            label_format="png:base28",
        )
        grounding = GroundingParams(positions=False)
        build_dataset(root, split, shards, categories=CATEGORIES, grounding=grounding)
    return root
