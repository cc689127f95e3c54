import numpy as np
import pytest

from seg_assets.labels.params import LabelParams
from seg_assets.labels.seem_labeler import load_seem_labeler
from seg_assets.labels.segmentors.seem import SeemSegmentor
from seg_assets.labels.tables import SOURCE


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)


@pytest.mark.parametrize("semantic_classes", [SOURCE, "base28"])
def test_seem_votes_with_its_own_classes_whatever_the_chain_uses(image, semantic_classes):
    labeler = load_seem_labeler("seem_demo", LabelParams(semantic_classes=semantic_classes))
    segmentor = SeemSegmentor(labeler)
    found = segmentor.segment("a", image)
    np.testing.assert_array_equal(found.label_map, labeler.read(image).source_map)
    assert segmentor.classes.name == "coco133"
