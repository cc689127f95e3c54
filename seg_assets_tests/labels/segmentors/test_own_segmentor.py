"""A network of one's own behind the protocol: ESPNet with its published weights."""

from pathlib import Path

import numpy as np
import pytest

from seg_assets.classes.mapping import load_class_map
from seg_assets.data.formats.camvid import LABEL_FORMAT, find_camvid_images
from seg_assets.data.images import read_image
from seg_assets.data.label_maps import read_label_map
from seg_assets.data.shards import ImageRef
from seg_assets.labels.segmentors.protocol import Segmentor
from seg_assets.labels.ssa import paint_votes, vote_masks
from seg_assets.labels.ssa_params import SsaParams
from seg_assets.masks.records import MaskRecord
from seg_assets.masks.rle import Rle
from seg_assets.metrics.confusion import ConfusionMatrix
from seg_assets.metrics.semantic import SemanticScores, semantic_scores
from seg_assets_tests.reference.espnet import CamvidEspNet
from seg_assets_tests.reference.espnet_v2 import CityscapesEspNetV2


@pytest.fixture(scope="module")
def weights(shared_dir: Path) -> Path:
    return shared_dir / "data" / "weights" / "semantic"


@pytest.fixture(scope="module")
def images(shared_dir: Path) -> list[ImageRef]:
    return find_camvid_images(shared_dir / "data" / "camvid")["val"]


def score(segmentor: Segmentor, images: list[ImageRef]) -> SemanticScores:
    mapping = load_class_map(segmentor.classes, "camvid11")
    counts = ConfusionMatrix.empty(mapping.target)
    for image in images:
        found = segmentor.segment(image.image_id, read_image(image.uri))
        truth = read_label_map(str(image.label_uri), LABEL_FORMAT)
        counts += ConfusionMatrix.of(mapping.apply(found.label_map), truth, mapping.target)
    return semantic_scores(counts)


@pytest.mark.slow
def test_espnet_reaches_the_scores_stated_for_its_weights(weights, images):
    """Of shared/data/weights/README.md, by other code than this: every second image of val."""
    found = score(CamvidEspNet(weights / "espnet_p_2_q_8_camvid.pth"), images[::2])
    assert found.miou == pytest.approx(0.692, abs=5e-4)
    assert found.aacc == pytest.approx(0.925, abs=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "miou"),
    [("espnetv2_s_2.0_city_1024x512.pth", 0.586), ("espnetv2_s_0.5_city_1024x512.pth", 0.422)],
)
def test_a_network_of_cityscapes_meets_camvid_through_the_class_map(weights, images, file, miou):
    """The README's numbers are of six images that it does not name, hence the tolerance."""
    found = score(CityscapesEspNetV2(weights / file), images[::17])
    assert found.miou == pytest.approx(miou, abs=0.03)


def test_any_object_with_classes_and_segment_votes(weights, images):
    segmentor = CamvidEspNet(weights / "espnet_p_2_q_8_camvid.pth")
    image = read_image(images[0].uri)
    found = segmentor.segment(images[0].image_id, image)
    assert found.label_map.shape == image.shape[:2]
    assert found.logits is not None
    road = segmentor.classes.id_of("Road")
    mask = read_label_map(str(images[0].label_uri), LABEL_FORMAT) == road
    rle = Rle.encode(mask)
    record = MaskRecord(rle, (0, 0, 0, 0), rle.area, 0.9, 0.9, (), (0, 0, 480, 360))
    for rule in ("majority", "mean_logits"):
        votes = vote_masks([record], found.label_map, SsaParams(rule=rule), found.logits)
        assert votes[0].class_id == road
        painted = paint_votes([record], votes, found.label_map)
        np.testing.assert_array_equal(painted[~mask], found.label_map[~mask])
        assert (painted[mask] == road).all()
