"""From names of the model manifest to mask models of either library."""

import numpy as np
import pytest
import torch

from seg_assets.errors import InputError
from seg_assets.modeling.manifest import entry
from seg_assets.modeling.mask_models.load import as_mask_model, load_mask_model
from seg_assets.modeling.mask_models.sam.model import SegmentAnythingModel
from seg_assets.modeling.sam import TINY, build_sam, load_sam

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)

MANIFEST = """
[mine]
title = "for a test"
kind = "sam"
config = "{config}"
licence = "Apache-2.0"
input_size = 128
input_side = "long"
mean = {mean}
std = [4, 5, 6]
seed = 3
"""


@pytest.fixture
def own_entry(tmp_path, monkeypatch):
    """Write a manifest whose only entry is `mine`, with random weights."""

    def write(config: str, mean: str = "[1, 2, 3]") -> None:
        (tmp_path / "manifest.toml").write_text(MANIFEST.format(config=config, mean=mean))
        monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))

    return write


def test_the_demo_sam_is_loaded_with_its_trained_weights():
    loaded, plain = load_mask_model("sam_demo"), load_sam("sam_demo")
    assert isinstance(loaded.model, SegmentAnythingModel)
    assert loaded.entry == entry("sam_demo")
    assert (loaded.sha256, loaded.trained) == (plain.sha256, True)
    assert loaded.sha256 == entry("sam_demo").sha256
    assert (loaded.model.logits_size, loaded.model.device.type) == ((48, 48), "cpu")
    expected = plain.model.state_dict()
    for key, value in loaded.model.sam.state_dict().items():
        assert torch.equal(value, expected[key]), key


def test_an_own_entry_scales_pixels_as_it_says(own_entry):
    features = []
    for mean in ("[1, 2, 3]", "[101, 102, 103]"):
        own_entry("tiny", mean)
        loaded = load_mask_model("mine")
        assert (loaded.trained, loaded.entry.name) == (False, "mine")
        features.append(loaded.model.embed([IMAGE])[0].features)
    assert not torch.equal(*features)
    own_entry("tiny")
    again = load_mask_model("mine").model.embed([IMAGE])[0]
    assert torch.equal(again.features, features[0])
    assert again.frame.input_size == (85, 128)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_sams_of_the_segment_anything_package_run_in_the_precision_asked_for(own_entry, precision):
    own_entry("tiny")
    expected = load_mask_model("mine").model.embed([IMAGE])[0].features
    rounded = load_mask_model("mine", precision=precision).model.embed([IMAGE])[0].features
    assert not torch.equal(rounded, expected)
    torch.testing.assert_close(rounded, expected, rtol=0, atol=0.1 * float(expected.std()))


def test_compilation_is_passed_on(own_entry, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda *a, **named: asked.append(named) or a[0])
    own_entry("tiny")
    load_mask_model("mine")
    assert asked == []
    load_mask_model("mine", compile=True)
    assert len(asked) == 1


@pytest.mark.parametrize("config", ["sam_hq_tiny", "sam2_tiny", "sam3_tracker_tiny"])
def test_models_of_transformers_are_loaded_by_their_entries(own_entry, config):
    pytest.importorskip("transformers", minversion="5.0")
    own_entry(config)
    loaded = load_mask_model("mine", "cpu", "float32", False)
    assert not isinstance(loaded.model, SegmentAnythingModel)
    assert (loaded.entry.config, loaded.trained) == (config, False)
    assert len(loaded.sha256) == 64
    (embedding,) = loaded.model.embed([IMAGE])
    logits, ious = loaded.model.decode(
        embedding,
        points=torch.full((2, 1, 2), 30.0),
        labels=torch.ones((2, 1), dtype=torch.int),
        multimask=True,
    )
    assert logits.shape == (2, loaded.model.candidates, *loaded.model.logits_size)
    assert ious.shape == (2, loaded.model.candidates)


@pytest.mark.parametrize("config", ["sam_hq_tiny", "sam2_tiny", "sam3_tracker_tiny"])
@pytest.mark.parametrize(
    "asked", [{"precision": "bfloat16"}, {"precision": "float16"}, {"compile": True}], ids=str
)
def test_models_of_transformers_have_no_other_precision(own_entry, config, asked, monkeypatch):
    """Refused before anything is loaded, which may be gigabytes."""
    own_entry(config)
    monkeypatch.setattr(
        "seg_assets.modeling.mask_models.load.load_transformers_mask_model",
        lambda *_: pytest.fail("it was loaded"),
    )
    with pytest.raises(InputError, match="mine runs through transformers, in float32 and without"):
        load_mask_model("mine", **asked)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sam_vit_x", "no model is called 'sam_vit_x'; choose one of: sam_vit_b, "),
        ("seem_demo", "'seem_demo' is no sam model; choose one of: sam_vit_b, "),
    ],
)
def test_names_that_are_no_sam_list_those_that_are(name, message):
    with pytest.raises(InputError, match=message):
        load_mask_model(name)


def test_an_unknown_configuration_is_named(own_entry):
    own_entry("vit_x")
    with pytest.raises(InputError, match="configuration 'vit_x'; choose one of: vit_b, "):
        load_mask_model("mine")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("config", ["tiny", "sam2_tiny"])
def test_a_device_that_is_not_there_is_refused(own_entry, config):
    if config == "sam2_tiny":
        pytest.importorskip("transformers", minversion="5.0")
    own_entry(config)
    with pytest.raises(InputError, match="cuda"):
        load_mask_model("mine", "cuda:0")


def test_a_network_becomes_a_mask_model_and_a_mask_model_stays():
    model = as_mask_model(build_sam(TINY))
    assert isinstance(model, SegmentAnythingModel)
    assert as_mask_model(model) is model
