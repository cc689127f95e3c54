"""Focal-L at its real size: keys and shapes of the official checkpoint, and golden_full.

The weights are a formula of key and shape; reference numbers are upstream's on CPU in fp32.
Tolerance 1e-3 of a tensor's maximum, as its README asks for; ids exact; binary masks 99.9 %.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from seg_assets.modeling.seem.config import FOCAL_L
from seg_assets.modeling.seem.model import Seem, preprocess
from seg_assets.modeling.seem.postprocess import (
    chosen_masks,
    match_region,
    match_text,
    panoptic,
    semantic,
    to_image,
)
from seg_assets.modeling.seem.tokenizer import tokenize
from seg_assets_tests.modeling.seem.golden import Golden, load_fill

TOLERANCE = 1e-3


def meta_model() -> Seem:
    with torch.device("meta"):
        return Seem(FOCAL_L).eval().requires_grad_(False)


def test_keys_and_shapes_equal_the_checkpoints(shared_dir: Path) -> None:
    manifest = json.loads((shared_dir / "specs/manifests/manifest_focall.json").read_text())
    wanted = {key: tuple(shape) for key, (shape, _) in manifest["tensors"].items()}
    own = {key: tuple(value.shape) for key, value in meta_model().state_dict().items()}
    assert len(wanted) == manifest["num_keys"] == 932
    assert own | {"dilation_kernel": (1, 1, 3, 3)} == wanted
    assert sum(p.numel() for p in meta_model().parameters()) == 341_181_177


def test_the_training_checkpoint_differs_by_one_ignored_buffer(shared_dir: Path) -> None:
    manifest = json.loads(
        (shared_dir / "specs/manifests/manifest_focall_uxv1_train.json").read_text()
    )
    extra = manifest["tensors"].keys() - meta_model().state_dict().keys()
    assert extra == {"dilation_kernel", "criterion.empty_weight"}


@pytest.fixture(scope="module")
def full(shared_dir: Path) -> Golden:
    folder = shared_dir / "golden" / "seem" / "golden_full"
    fill = load_fill(folder).fill
    model = meta_model()
    state = {
        key: torch.from_numpy(fill(key, value.shape).reshape(tuple(value.shape)))
        for key, value in model.state_dict().items()
    }
    model.load_state_dict(state, assign=True)
    config = json.loads((folder / "config.json").read_text())
    for key, probe in config["fill_probe"].items():
        assert float(state[key].double().sum()) == pytest.approx(probe["sum_float64"], rel=1e-9)
    return Golden(load_file(folder / "golden.safetensors"), config, model)


@pytest.mark.slow
def test_focal_l_equals_the_reference(full: Golden) -> None:
    """One test, so that the 1.4 GB of weights are made once and freed afterwards."""
    model = full.model
    image = full.tensors["in/image"]
    full_check = full.check

    def check(name: str, got: Tensor) -> None:
        full_check(name, got, TOLERANCE)

    for i, feature_map in enumerate(model.backbone(preprocess(image))):
        step = feature_map.shape[1] // 24
        check(f"backbone/res{i + 2}_every_{step}th_channel", feature_map[:, ::step])
    features = model.encode_image(image)
    check("pixdec/mask_features_every_32nd_channel", features.mask_features[:, ::32])
    for i in range(3):
        level = features.memory[i] - model.predictor.level_embed.weight[i]
        feature_map = level.transpose(1, 2).unflatten(2, features.sizes[i])
        check(f"pixdec/multi_scale_{i}_every_16th_channel", feature_map[:, ::16])

    # 134 classes in two templates would take minutes: the first eight prove the text encoder
    ids = full.tensors["in/class_token_ids"].long()
    few = model.language.class_table(ids[:8])
    assert (few - full.table[:8]).abs().max() <= 1e-4 * full.table[:8].abs().max()

    plain = model.decode(features, full.table)
    masks = features.masks(plain.mask_embeddings)
    check("plain/pred_logits", plain.logits)
    check("plain/pred_masks", masks)
    large = to_image(masks[0], features)
    scores = semantic(plain.logits[0], large)
    check("eval/sem_seg_argmax", scores.argmax(0))
    check("eval/sem_seg_every_19th_class", scores[::19])
    painted, segments = panoptic(
        plain.logits[0],
        large,
        range(80),
        score_threshold=full.config["object_mask_threshold"],
        overlap_threshold=full.config["overlap_threshold"],
    )
    check("eval/panoptic_seg", painted)
    assert [
        {"id": s.id, "isthing": s.is_thing, "category_id": s.class_id} for s in segments
    ] == full.config["segments_info"]

    region = model.read_masks(features, full.tensors["in/stroke"][None].bool())
    prediction = model.decode(features, full.table, regions=[region])
    match = match_region(prediction, region.query)
    check("stroke/pred_pspatials", region.query[None])
    check("stroke/similarity", match.similarity[..., None])
    check("stroke/matched_query", match.query)
    check("stroke/pred_class", match.class_id)
    check("stroke/pred_logits", prediction.logits)
    found = features.masks(prediction.mask_embeddings)[0, match.query]
    check("stroke/matched_pred_mask", found)
    check("stroke/final_mask", chosen_masks(prediction, features, match.query) > 0)

    tokens = tokenize([full.config["text"]], trim=False)
    text = model.read_texts(tokens.ids, tokens.attention, joined=True)
    check("text_prompt/grounding_tokens", text.tokens.transpose(0, 1))
    check("text_prompt/grounding_class", text.sentences)
    prediction = model.decode(features, full.table, text=text)
    similarity, query = match_text(prediction, text.sentences, model.language.logit_scale)
    check("text_prompt/similarity", similarity.T)
    check("text_prompt/matched_query", query)
    found = features.masks(prediction.mask_embeddings)[0, query]
    check("text_prompt/matched_pred_mask", found)
