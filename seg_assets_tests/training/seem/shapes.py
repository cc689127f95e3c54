"""Pictures of rectangles (stuff) and discs (things), some pixels without label; a tiny SEEM."""

from typing import Any

import numpy as np
import torch

from seg_assets.classes.table import ClassTable, SemanticClass
from seg_assets.modeling.seem.config import SeemConfig
from seg_assets.modeling.seem.model import Seem
from seg_assets.training.seem.params import SceneData, SeemTaskParams
from seg_assets.training.seem.samples import SegmentationSample
from seg_assets.training.seem.sources import SampleSource
from seg_assets.training.seem.task import SeemTask

SIDE = 64
TABLE = ClassTable(
    "shapes",
    "shapes",
    (
        SemanticClass(0, "ball", (250, 30, 30), is_thing=True),
        SemanticClass(1, "plate", (30, 30, 250), is_thing=True),
        SemanticClass(2, "sky", (120, 200, 250), is_thing=False),
        SemanticClass(3, "grass", (40, 160, 40), is_thing=False),
    ),
)
TINY = SeemConfig(
    embed=16,
    depths=(1, 1, 1, 1),
    focal_levels=(1, 1, 1, 1),
    mlp_ratio=1.0,
    layer_scale=1.0,
    drop_path=0.5,
    hidden=64,
    mask_dim=64,
    heads=2,
    ffn=64,
    encoder_layers=1,
    decoder_layers=3,
    queries=11,
    memory_slots=4,
    max_points=32,
    text_width=16,
    text_heads=2,
    text_layers=1,
)


class Shapes(SampleSource):
    """Always the same pictures."""

    def __init__(self, count: int = 8, side: int = SIDE, *, sentences: bool = False) -> None:
        self.table, self.count, self.side, self.sentences = TABLE, count, side, sentences

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> SegmentationSample:
        rng = np.random.default_rng(index)
        side = self.side
        y, x = np.mgrid[:side, :side]
        horizon = int(side * rng.uniform(0.4, 0.6))
        sky, grass = y < horizon, (y >= horizon) & (y < side - 4)  # the last rows have no label
        masks = [sky, grass]
        class_ids = [2, 3]
        for class_id in (0, 1):
            row, column = rng.uniform(0.2, 0.8, 2) * side
            disc = (y - row) ** 2 + (x - column) ** 2 < (side * rng.uniform(0.1, 0.16)) ** 2
            masks = [mask & ~disc for mask in masks] + [disc]
            class_ids.append(class_id)
        image = np.full((side, side, 3), 128, np.uint8)
        label_map = np.full((side, side), 255, np.uint8)
        for mask, class_id in zip(masks, class_ids, strict=True):
            image[mask] = TABLE.classes[class_id].color
            label_map[mask] = class_id
        noise = rng.integers(-12, 13, image.shape)
        stacked = np.stack(masks)
        return SegmentationSample(
            (image + noise).clip(0, 255).astype(np.uint8),
            stacked,
            np.array(class_ids, np.int64),
            label_map,
            stacked[2:3] if self.sentences else stacked[:0],
            (("The red Ball",),) if self.sentences else (),
        )


def params(**changes: Any) -> SeemTaskParams:
    """Parameters for tiny networks; the data named here is not used."""
    values: dict[str, Any] = {
        "train": SceneData(),
        "strategy": "everything",
        "image_size": SIDE,
        "small_images": True,
        "augmentation": "none",
        "points": None,
        "spatial": 1.0,
        "grounding": 1.0,
        "class_texts": "name",
        "backbone_lr": 1.0,
        "language_lr": 1.0,
    }
    return SeemTaskParams.model_validate(values | changes)


def tiny_seem(config: SeemConfig = TINY) -> Seem:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        return Seem(config)


def task(config: SeemConfig = TINY, **changes: Any) -> SeemTask:
    return SeemTask(tiny_seem(config), Shapes(), Shapes(2), params(**changes))


def batch_of(a_task: SeemTask, indices: list[int], epoch: int = 0) -> Any:
    samples = [a_task.sample(i, np.random.default_rng([0, epoch, i])) for i in indices]
    return a_task.collate(samples)
