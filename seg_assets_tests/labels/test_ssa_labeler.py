import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg_assets.classes.table import load_class_table
from seg_assets.errors import ImageError, InputError, UnknownClassError
from seg_assets.labels.segmentors.protocol import Segmentation
from seg_assets.labels.ssa import paint_votes, vote_masks
from seg_assets.labels.ssa_json import read_ssa_json, ssa_json
from seg_assets.labels.ssa_labeler import SsaImage, SsaLabeler, name_seem
from seg_assets.labels.ssa_params import SSA_MASK_PRESETS, SSA_PRESETS, SsaParams
from seg_assets.masks.generator import MaskGenerator, load_mask_generator
from seg_assets.masks.params import MaskParams
from seg_assets_tests.stages.conftest import EVERYTHING, MANIFEST

CAMVID = load_class_table("camvid11")


class Stripes:
    """A segmentor that is no class of ours: columns of classes 0 to 3, and what it was asked."""

    classes = CAMVID

    def __init__(self) -> None:
        self.asked: list[str] = []

    def segment(self, image_id: str, image: np.ndarray) -> Segmentation:
        self.asked.append(image_id)
        height, width = image.shape[:2]
        columns = (np.arange(width) * 4 // width).astype(np.uint8)
        logits = np.zeros((len(CAMVID), 2, 2), np.float32)
        logits[7] = 1.0
        return Segmentation(np.tile(columns, (height, 1)), logits)


class Answer:
    """A segmentor with one answer to everything."""

    classes = CAMVID

    def __init__(self, label_map: np.ndarray) -> None:
        self.label_map = label_map

    def segment(self, image_id: str, image: np.ndarray) -> Segmentation:
        return Segmentation(self.label_map)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> MaskGenerator:
    folder = tmp_path_factory.mktemp("models")
    (folder / "manifest.toml").write_text(MANIFEST)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SEG_MODELS_DIR", str(folder))
        return load_mask_generator("sam_tiny", EVERYTHING)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def test_any_segmentor_votes_on_the_masks_of_the_generator(generator, picture):
    labeler = SsaLabeler(generator, Stripes(), SsaParams(min_vote_share=0.6, top_k=2))
    result = labeler(picture)
    segmentor_map = Stripes().segment("", picture).label_map
    np.testing.assert_array_equal(result.segmentor_map, segmentor_map)
    assert result.records == generator.find(picture)
    assert result.votes == vote_masks(result.records, segmentor_map, labeler.params)
    painted = paint_votes(result.records, result.votes, segmentor_map)
    np.testing.assert_array_equal(result.label_map, painted)
    assert len(result.records) > 0
    assert result.overlay().shape == picture.shape


def test_the_logits_reach_the_rule_that_needs_them(generator, picture):
    result = SsaLabeler(generator, Stripes(), SsaParams(rule="mean_logits"))(picture)
    assert {vote.class_id for vote in result.votes} == {7}


def test_a_result_survives_its_json(generator, picture):
    result = SsaLabeler(generator, Stripes())(picture)
    content = ssa_json(result, result.classes, image_id=1, file_name="a.png")
    found = read_ssa_json(json.loads(json.dumps(content)), result.classes, "a.json")
    assert (found.records, found.votes) == (result.records, result.votes)
    np.testing.assert_array_equal(found.label_map, result.label_map)


def test_a_file_is_known_by_its_name_and_an_id_goes_before(generator, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "street.png")
    segmentor = Stripes()
    labeler = SsaLabeler(generator, segmentor)
    from_file: SsaImage = labeler(tmp_path / "street.png")
    labeler(str(tmp_path / "street.png"), image_id="city/street")
    labeler(picture)
    assert segmentor.asked == ["street", "city/street", "image"]
    np.testing.assert_array_equal(from_file.image, picture)


@pytest.mark.parametrize(
    ("label_map", "error", "message"),
    [
        (np.zeros((64, 48), np.uint8), InputError, r"of city/a has shape \(64, 48\)"),
        (np.full((48, 64), 11, np.uint8), UnknownClassError, "of city/a holds class id 11"),
        (np.zeros((48, 64), np.float32), InputError, "of city/a has shape"),
    ],
)
def test_answers_that_do_not_fit_are_refused(generator, picture, label_map, error, message):
    with pytest.raises(error, match=message):
        SsaLabeler(generator, Answer(label_map))(picture, "city/a")


def test_a_file_that_is_no_image_is_an_error_of_its_own(generator, tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(ImageError, match=r"a\.jpg is not an image"):
        SsaLabeler(generator, Stripes())(tmp_path / "a.jpg")


@pytest.mark.usefixtures("_tiny_models")
def test_models_are_loaded_by_their_names(picture, tmp_path):
    (tmp_path / "maps").mkdir()
    Image.fromarray(np.full((48, 64), 3, np.uint8)).save(tmp_path / "maps" / "a.png")
    params = SsaParams(segmentor=f"maps:{tmp_path / 'maps'}:camvid11")
    labeler = SsaLabeler.load(sam="sam_tiny", params=params, mask_params=EVERYTHING)
    assert (labeler(picture, "a").label_map == 3).all()
    assert labeler.mask_generator.params == EVERYTHING
    assert SsaLabeler.load(sam="sam_tiny", params=params).mask_generator.params == (
        MaskParams.preset("ssa")
    )


@pytest.mark.parametrize("name", SSA_PRESETS)
def test_a_preset_brings_its_segmentor_and_its_masks(name, monkeypatch):
    asked = {}
    monkeypatch.setattr(SsaLabeler, "load", lambda **options: asked.update(options))
    SsaLabeler.preset(name, sam="sam_tiny", device="cuda:0")
    assert asked == {
        "sam": "sam_tiny",
        "device": "cuda:0",
        "params": SsaParams.preset(name),
        "mask_params": MaskParams.preset(SSA_MASK_PRESETS[name]),
    }


def test_mistakes_are_said_before_a_mask_model_is_loaded():
    with pytest.raises(InputError, match="gives labels without logits"):
        SsaLabeler.load(sam="nix", params=SsaParams(rule="mean_logits"))
    with pytest.raises(InputError, match="no SSA preset is called 'nix'"):
        SsaLabeler.preset("nix")


def test_seem_alone_is_a_model_by_its_name():
    assert name_seem(SsaParams()).segmentor == "seem:seem_focall_v1"
    assert name_seem(SsaParams(top_k=7), "seem_demo") == SsaParams(
        segmentor="seem:seem_demo", top_k=7
    )
    assert name_seem(SsaParams(segmentor="hf:a/b"), "seem_demo").segmentor == "hf:a/b"


@pytest.fixture
def _tiny_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "manifest.toml").write_text(MANIFEST)
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path / "models"))
