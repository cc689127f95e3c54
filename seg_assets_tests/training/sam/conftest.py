"""A SAM of 64 x 64 pixels and pictures of discs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from seg_assets.data.instance_image import InstanceImage, mask_box
from seg_assets.modeling.checkpoints import LoadedModel, state_sha256
from seg_assets.modeling.manifest import ModelEntry
from seg_assets.modeling.pixels import PIXEL_MEAN, PIXEL_STD
from seg_assets.modeling.sam import SamConfig, build_sam

# isort: split
from segment_anything.modeling import Sam

SIDE = 64
SMALL = SamConfig(
    encoder_dim=32,
    encoder_depth=2,
    encoder_heads=2,
    global_attention=(1,),
    encoder_mlp_ratio=2.0,
    image_size=SIDE,
    patch_size=16,
    window_size=2,
    prompt_dim=32,
    decoder_mlp_dim=64,
    decoder_heads=2,
    iou_head_dim=32,
)


class Discs:
    """Pictures of `count` discs each, always the same for the same seed."""

    class_names: tuple[str, ...] = ("disc",)

    def __init__(
        self,
        images: int = 4,
        counts: tuple[int, ...] = (2,),
        size: tuple[int, int] = (SIDE, SIDE),
        seed: int = 0,
    ) -> None:
        self.images, self.counts, self.size, self.seed = images, counts, size, seed

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, index: int) -> InstanceImage:
        rng = np.random.default_rng([self.seed, index])
        rows, columns = self.size
        y, x = np.mgrid[:rows, :columns]
        count = self.counts[index % len(self.counts)]
        image = np.full((rows, columns, 3), 40, np.uint8)
        masks = np.zeros((count, rows, columns), bool)
        for mask in masks:
            radius = rng.uniform(0.12, 0.25) * min(rows, columns)
            center_y = rng.uniform(radius, rows - radius)
            center_x = rng.uniform(radius, columns - radius)
            mask[:] = (y - center_y) ** 2 + (x - center_x) ** 2 < radius**2
            image[mask] = rng.integers(90, 256, 3)
        return InstanceImage(
            image_id=str(index),
            image=image,
            masks=masks,
            boxes=np.array([mask_box(mask) for mask in masks], np.float32).reshape(-1, 4),
            class_ids=np.zeros(count, np.int64),
            crowd=np.zeros(count, bool),
        )


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def new_small_sam(seed: int = 0, config: SamConfig = SMALL) -> LoadedModel[Sam]:
    """A new small SAM each time, with the same weights for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        sam = build_sam(config).requires_grad_(False)
    entry = ModelEntry(
        name="sam_small",
        title="small SAM",
        kind="sam",
        config="small",
        licence="Apache-2.0",
        input_size=config.image_size,
        input_side="long",
        mean=PIXEL_MEAN,
        std=PIXEL_STD,
        seed=seed,
    )
    return LoadedModel(sam, entry, state_sha256(sam.state_dict()), trained=False)


@pytest.fixture
def small_sam() -> Callable[..., LoadedModel[Sam]]:
    return new_small_sam
