"""From manifest entries and files in the published layouts to mask models of transformers."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import seg_assets.modeling.torchvision_cpu  # noqa: F401

pytest.importorskip("transformers", minversion="5.0")

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.manifest import entry, manifest
from seg_assets.modeling.mask_models.hugging_face.load import (
    TRANSFORMERS_CONFIGS,
    load_transformers_mask_model,
)
from seg_assets.modeling.sam import SAM_CONFIGS
from seg_assets_tests.conftest import REPOSITORY

TINY = ("sam_hq_tiny", "sam2_tiny", "sam3_tracker_tiny")
IMAGE = "shared_image_embedding.positional_embedding"
PROMPT = "prompt_encoder.shared_embedding.positional_embedding"

# What the published files hold beside the image network.
EXTRA_KEYS = {
    "sam_hq_tiny": (),
    "sam2_tiny": (
        "memory_attention.layers.0.linear1.weight",
        "memory_encoder.projection.bias",
        "memory_temporal_positional_encoding",
        "mask_downsample.weight",
        "no_memory_positional_encoding",
        "no_object_pointer",
        "object_pointer_proj.proj_in.weight",
        "occlusion_spatial_embedding_parameter",
        "temporal_positional_encoding_projection_layer.weight",
    ),
    "sam3_tracker_tiny": (
        "detector_model.text_encoder.text_projection.weight",
        "detector_model.detr_decoder.presence_token.weight",
        "detector_model.mask_decoder.mask_embedder.layers.0.weight",
        "detector_model.vision_encoder.neck.fpn_layers.0.proj1.weight",
        "tracker_neck.fpn_layers.3.proj1.weight",
        "tracker_model.memory_attention.layers.0.linear1.weight",
        "tracker_model.no_object_pointer",
        "tracker_model.no_memory_positional_encoding",
    ),
}


@pytest.fixture(params=TINY)
def config(request):
    return request.param


@pytest.fixture
def own_entry(tmp_path, monkeypatch):
    """Write a manifest with one entry; returns the entry."""

    def write(config, source="seed = 3", mean="[1, 2, 3]", std="[4, 5, 6]"):
        (tmp_path / "manifest.toml").write_text(
            f"""
[mine]
title = "for a test"
kind = "sam"
config = "{config}"
licence = "Apache-2.0"
input_size = 128
input_side = "both"
mean = {mean}
std = {std}
{source}
"""
        )
        monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
        return entry("mine", kind="sam")

    return write


def published_state(config):
    """Random weights under the keys of the published file, with what else that holds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        state = TRANSFORMERS_CONFIGS[config].from_config(config).state_dict()
    state = {key: value.clone() for key, value in state.items()}
    return state | {key: torch.ones(2) for key in EXTRA_KEYS[config]}


def saved(tmp_path, state):
    save_file(state, tmp_path / "weights.safetensors")
    return 'file = "weights.safetensors"'


def key_of(config, name):
    return f"tracker_model.{name}" if config == "sam3_tracker_tiny" else name


# --- entries ---------------------------------------------------------------------------------


def test_every_mask_model_of_the_manifest_has_a_known_configuration():
    assert not set(SAM_CONFIGS) & set(TRANSFORMERS_CONFIGS)
    configs = {found.config for found in manifest().values() if found.kind == "sam"}
    assert configs <= set(SAM_CONFIGS) | set(TRANSFORMERS_CONFIGS)


def test_the_page_names_every_configuration_but_those_of_the_tests():
    page = (REPOSITORY / "docs" / "mask_models.md").read_text(encoding="utf-8")
    missing = {name for name in TRANSFORMERS_CONFIGS if f"`{name}`" not in page}
    assert missing == set(TINY)


# Revision, size and hash of model.safetensors, as several public projects pin them.
FACTS = {
    "sam21_hiera_tiny": (
        "facebook/sam2.1-hiera-tiny",
        "de431c4043854a71d8101e17995dfe596bf101a5",
        155_908_064,
        "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7",
    ),
    "sam21_hiera_small": (
        "facebook/sam2.1-hiera-small",
        "ee5bba1d82bb8749febdf90f45e84b687142ba03",
        184_305_280,
        "0a4067b11ce1e23d5229203f11c718a823060d15a4b23fa2372a7d4b77cbbc60",
    ),
    "sam21_hiera_base_plus": (
        "facebook/sam2.1-hiera-base-plus",
        "b7320756a13354e7530a63935656d35b2f91a290",
        323_476_296,
        "2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780",
    ),
    "sam21_hiera_large": (
        "facebook/sam2.1-hiera-large",
        "665f8e2ad61cf5f53d65644ff27c8ee525124610",
        897_897_416,
        "dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230",
    ),
    "sam3_tracker": (
        "facebook/sam3",
        "3c879f39826c281e95690f02c7821c4de09afae7",
        3_439_938_512,
        "6d06f0a5f84e435071fe6603e61d0b4cc7b40e0d39d487cfd4d67d8cc11cc14a",
    ),
    "sam_hq_vit_b": ("syscv-community/sam-hq-vit-base", "main", None, None),
    "sam_hq_vit_l": ("syscv-community/sam-hq-vit-large", "main", None, None),
    "sam_hq_vit_h": ("syscv-community/sam-hq-vit-huge", "main", None, None),
}


def test_addresses_sizes_and_hashes_are_the_public_ones():
    shipped = {n: f for n, f in manifest().items() if f.config in TRANSFORMERS_CONFIGS}
    assert shipped.keys() == FACTS.keys()
    for name, (repository, revision, size, sha256) in FACTS.items():
        found = shipped[name]
        address = f"https://huggingface.co/{repository}/resolve/{revision}/model.safetensors"
        assert (found.url, found.bytes, found.sha256) == (address, size, sha256)
        # All files have one name where they come from.
        assert found.file is not None
    assert len({found.file for found in shipped.values()}) == len(shipped)


@pytest.mark.parametrize("size", ["tiny", "small", "base_plus", "large"])
def test_a_sam2_has_as_many_weights_as_its_published_file(size):
    import transformers as hf

    config = f"sam2_hiera_{size}"
    with torch.device("meta"):
        images = TRANSFORMERS_CONFIGS[config].from_config(config).network
        video = hf.Sam2VideoModel(hf.Sam2VideoConfig(vision_config=images.config.vision_config))
    weights = video.state_dict()
    assert {key: value.shape for key, value in images.state_dict().items()}.items() <= {
        key: value.shape for key, value in weights.items()
    }.items()
    published = entry(f"sam21_hiera_{size}").bytes
    header = published - 4 * sum(value.numel() for value in weights.values())
    # A .safetensors file begins with some 120 bytes about each tensor.
    assert 110 < header / len(weights) < 130


# --- loading -----------------------------------------------------------------------------------


def test_seeded_weights_stand_in_and_are_the_same_each_time(own_entry, config, caplog):
    mine = own_entry(config)
    loaded, again = (load_transformers_mask_model(mine) for _ in range(2))
    assert not loaded.trained
    assert loaded.sha256 == again.sha256
    assert "mine has no trained weights" in caplog.text
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    image = np.zeros((4, 6, 3), np.uint8)
    pixels, _ = loaded.model.prepare(image)
    np.testing.assert_allclose(pixels[:, 0, 0], [-1 / 4, -2 / 5, -3 / 6], rtol=1e-6)


def test_a_published_file_loads_by_its_keys(own_entry, tmp_path, config):
    state = published_state(config)
    loaded = load_transformers_mask_model(own_entry(config, saved(tmp_path, state)))
    assert loaded.trained
    own = loaded.model.state_dict()
    assert own.keys() == state.keys() - set(EXTRA_KEYS[config])
    for key, value in own.items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize("dropped", [IMAGE, PROMPT])
def test_the_matrix_of_positions_may_be_saved_once(own_entry, tmp_path, config, dropped):
    state = published_state(config)
    kept = state[key_of(config, PROMPT if dropped == IMAGE else IMAGE)]
    del state[key_of(config, dropped)]
    network = load_transformers_mask_model(own_entry(config, saved(tmp_path, state))).model.network
    assert torch.equal(network.shared_image_embedding.positional_embedding, kept)
    assert torch.equal(network.prompt_encoder.shared_embedding.positional_embedding, kept)


def test_a_file_without_positions_is_refused(own_entry, tmp_path, config):
    state = published_state(config)
    for name in (IMAGE, PROMPT):
        del state[key_of(config, name)]
    with pytest.raises(CheckpointError, match=f"{key_of(config, IMAGE)} is missing"):
        load_transformers_mask_model(own_entry(config, saved(tmp_path, state)))


@pytest.mark.parametrize("part", ["mask_decoder", "backbone|vision_encoder", "neck"])
def test_a_file_that_lacks_a_part_is_refused(own_entry, tmp_path, config, part):
    state = published_state(config)
    lost = next(key for key in state if re.search(part, key) and key not in EXTRA_KEYS[config])
    del state[lost]
    with pytest.raises(CheckpointError, match=f"1 missing .{re.escape(lost)}"):
        load_transformers_mask_model(own_entry(config, saved(tmp_path, state)))


def test_a_file_with_unknown_weights_is_refused(own_entry, tmp_path, config):
    state = published_state(config) | {"mask_decoder.new.weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"1 unknown \(mask_decoder.new.weight\)"):
        load_transformers_mask_model(own_entry(config, saved(tmp_path, state)))


def test_transformers_itself_reads_a_published_file_into_the_same_weights(
    own_entry, tmp_path, config
):
    state = published_state(config)
    mine = own_entry(config, saved(tmp_path, state))
    network = load_transformers_mask_model(mine).model.network
    folder = tmp_path / "snapshot"
    folder.mkdir()
    network.config.save_pretrained(folder)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    theirs = type(network).from_pretrained(folder).state_dict()
    assert theirs.keys() == network.state_dict().keys()
    for key, value in network.state_dict().items():
        assert torch.equal(value, theirs[key]), key


def test_an_unknown_configuration_lists_those_there_are(own_entry):
    with pytest.raises(InputError, match="'sam2_hiera_giant'; choose one of: sam_hq_vit_b, "):
        load_transformers_mask_model(own_entry("sam2_hiera_giant"))


def test_without_the_extra_one_sentence_says_what_to_install(own_entry, config, monkeypatch):
    mine = own_entry(config)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'seg_assets\[transformers\]'$"):
        load_transformers_mask_model(mine)


def test_nothing_of_transformers_is_imported_before_a_model_is_built():
    code = (
        "import sys, seg_assets.modeling.mask_models.hugging_face.load; "
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
