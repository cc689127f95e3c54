"""Drawn scenes as training samples of a SEEM."""

import numpy as np
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.data.scenes import CLASS_TABLE
from seg_assets.training.demo.drawn_scenes import DrawnScenes
from seg_assets.training.seem.samples import SegmentationSample, sample_of_entities
from seg_assets.training.seem.sources import SampleSource


class DrawnSource(SampleSource):
    """Drawn scenes at the side that the training asks for."""

    def __init__(self, scenes: DrawnScenes, size: int) -> None:
        """Shrink `scenes` to `size` pixels a side."""
        self.table = load_class_table(CLASS_TABLE)
        self._scenes, self._size = scenes, size

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, index: int) -> SegmentationSample:
        """Things one by one, surfaces of one class together."""
        scene, size = self._scenes[index], self._size
        picture = Image.fromarray(scene.image).resize((size, size), Image.Resampling.BICUBIC)
        cells = (np.arange(size) * 2 + 1) * len(scene.image) // (2 * size)
        labels, objects = (m[cells][:, cells] for m in (scene.label_map, scene.instance_map))
        numbers, first = np.unique(objects, return_index=True)
        there = numbers > 0
        classes = labels.ravel()[first[there]].astype(np.int64)
        return sample_of_entities(
            np.asarray(picture), objects.astype(np.int32), numbers[there], classes, self.table
        )
