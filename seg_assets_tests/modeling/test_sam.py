import json
import logging

import pytest
import torch
from safetensors.torch import save_file

from seg_assets.errors import CheckpointError, InputError
from seg_assets.modeling.sam import DEMO, SAM_CONFIGS, TINY, build_sam, load_sam

# isort: split
from segment_anything import sam_model_registry


def _shapes(sam: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in sam.state_dict().items()}


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_keys_and_shapes_are_those_of_the_published_models(name: str):
    with torch.device("meta"):
        ours, reference = build_sam(SAM_CONFIGS[name]), sam_model_registry[name]()
    assert _shapes(ours) == _shapes(reference)
    assert list(ours.state_dict()) == list(reference.state_dict())


def test_an_official_style_pth_file_loads_unchanged(tmp_path, monkeypatch):
    """Saved by the package's own vit_b; afterwards both networks compute the same."""
    torch.manual_seed(3)
    reference = sam_model_registry["vit_b"]()
    _own_manifest(tmp_path, monkeypatch, config="vit_b")
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    loaded = load_sam("sam_test")
    assert loaded.trained
    state = loaded.model.state_dict()
    for key, value in reference.state_dict().items():
        assert torch.equal(state[key], value), key
    assert torch.equal(loaded.model.pixel_mean, reference.pixel_mean)
    assert torch.equal(loaded.model.pixel_std, reference.pixel_std)

    features = torch.randn(1, 256, 64, 64)
    with torch.inference_mode():
        for answer, expected in zip(
            _decode(loaded.model, features), _decode(reference, features), strict=True
        ):
            assert torch.equal(answer, expected)


def test_the_checkpoint_of_another_size_is_refused(tmp_path, monkeypatch):
    _own_manifest(tmp_path, monkeypatch, config="tiny")
    torch.save(build_sam(DEMO).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"weights\.pth does not fit Sam"):
        load_sam("sam_test")


def test_d4_weights_of_another_normalisation_are_refused(tmp_path, monkeypatch):
    """The file says that training saw 0 to 1, the manifest has SAM's mean and deviation."""
    _own_manifest(tmp_path, monkeypatch, config="tiny", source='file = "weights.safetensors"')
    state = build_sam(TINY).state_dict()

    def save(mean: list[float], std: list[float]) -> None:
        said = {"description": {"normalisation": {"mean": mean, "std": std}}}
        save_file(state, tmp_path / "weights.safetensors", {"seg_assets": json.dumps(said)})

    save([0.0] * 3, [255.0] * 3)
    with pytest.raises(CheckpointError, match=r"trained on pixels with mean \[0.0, 0.0, 0.0\]"):
        load_sam("sam_test")
    save([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    assert load_sam("sam_test").trained
    save_file(state, tmp_path / "weights.safetensors")  # nobody has said anything
    assert load_sam("sam_test").trained


def test_an_unknown_configuration_is_named(tmp_path, monkeypatch):
    _own_manifest(tmp_path, monkeypatch, config="vit_x")
    torch.save(build_sam(TINY).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(InputError, match="'vit_x'; choose one of: vit_b, vit_l, vit_h, demo, tiny"):
        load_sam("sam_test")


def test_seeded_weights_are_the_same_each_time(tmp_path, monkeypatch, caplog):
    _own_manifest(tmp_path, monkeypatch, config="tiny", source="seed = 5")
    before = torch.random.get_rng_state()
    with caplog.at_level(logging.INFO, logger="seg_assets"):
        first, second = load_sam("sam_test"), load_sam("sam_test")
    assert first.sha256 == second.sha256
    assert not first.trained
    assert not first.model.training
    assert "sam_test" in caplog.text
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_demo_model_is_small_and_has_the_sizes_it_was_designed_with():
    sam = build_sam(DEMO)
    parameters = sum(p.numel() for p in sam.parameters())
    assert 2.7e6 < parameters < 2.9e6
    with torch.inference_mode():
        assert sam.image_encoder(torch.zeros(1, 3, 192, 192)).shape == (1, 128, 12, 12)


@pytest.mark.parametrize("seed", range(3))
def test_masks_depend_on_the_prompt_before_any_training(seed: int):
    """With the package's own start values, logits of two points differ by 0.01 at most."""
    torch.manual_seed(seed)
    sam = build_sam(TINY)
    with torch.inference_mode():
        features = sam.image_encoder(torch.rand(1, 3, 128, 128))
        corners = torch.tensor([[[10.0, 10.0]], [[110.0, 100.0]]])
        logits, _ = _decode(sam, features, corners)
    assert (logits[0] - logits[1]).std() > 0.1


def _decode(sam, features: torch.Tensor, points: torch.Tensor | None = None):
    if points is None:
        points = torch.tensor([[[100.0, 200.0]]])
    sparse, dense = sam.prompt_encoder(
        points=(points, torch.ones(points.shape[:2])), boxes=None, masks=None
    )
    return sam.mask_decoder(
        image_embeddings=features,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )


def _own_manifest(tmp_path, monkeypatch, *, config: str, source: str = 'file = "weights.pth"'):
    (tmp_path / "manifest.toml").write_text(
        f"""
[sam_test]
title = "for a test"
kind = "sam"
config = "{config}"
licence = "Apache-2.0"
input_size = 1024
input_side = "long"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
{source}
"""
    )
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
