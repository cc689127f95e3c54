"""The small models that ship with the project, on scenes that they never saw."""

from collections.abc import Sequence

import numpy as np
import pytest

from seg_assets.classes.mapping import load_class_map
from seg_assets.data.scenes import Scene, make_scene
from seg_assets.labels.params import LabelParams
from seg_assets.masks.params import MaskParams
from seg_assets.metrics.best_mask import grid_discs, match_objects
from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.metrics.semantic import semantic_scores
from seg_assets.pipeline import LabelledImage, Pipeline

SIZE = 256
Labelled = Sequence[tuple[Scene, LabelledImage]]


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    pipeline = Pipeline.load(
        sam="sam_demo",
        seem="seem_demo",
        mask_params=MaskParams.preset("demo"),
        label_params=LabelParams(short_side=128),
    )
    scenes = [make_scene(seed, SIZE, view="close") for seed in range(200, 208)]
    return [(scene, pipeline(scene.image)) for scene in scenes]


def best_ious(scene: Scene, masks) -> list[float]:
    smallest = int(0.004 * scene.instance_map.size)
    return [match.iou for match in match_objects(scene.instance_map, masks, smallest=smallest)]


def test_masks_follow_the_objects(labelled: Labelled) -> None:
    found, trivial = [], []
    for scene, result in labelled:
        found += best_ious(scene, (mask.rle.decode().astype(bool) for mask in result.masks))
        trivial += best_ious(scene, grid_discs(SIZE, SIZE, 16, (0.03, 0.08, 0.2)))
    assert np.mean(found) > 0.75
    assert np.mean(trivial) < 0.5


@pytest.mark.parametrize("which", ["SAM + SEEM", "SEEM alone"])
def test_labels_are_those_of_the_objects(labelled: Labelled, which: str) -> None:
    truth_map = load_class_map("coco133", "merged19")
    counts = ConfusionMatrix.empty(truth_map.target)
    merge = load_class_map("base28", "merged19")
    for scene, result in labelled:
        labels = result.merged_map if which == "SAM + SEEM" else merge.apply(result.seem_map)
        counts += ConfusionMatrix.of(labels, truth_map.apply(scene.label_map), truth_map.target)
    assert semantic_scores(counts).miou > 0.75
