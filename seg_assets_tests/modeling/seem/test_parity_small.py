"""Every tensor of golden_small (upstream's code, CPU, fp32), within 1e-4 of its maximum."""

import dataclasses

import pytest
import torch
from torch import Tensor

from seg_assets.modeling.seem.features import ImageFeatures, Prediction
from seg_assets.modeling.seem.layers import unit
from seg_assets.modeling.seem.model import preprocess
from seg_assets.modeling.seem.postprocess import (
    chosen_masks,
    instances,
    match_region,
    match_text,
    panoptic,
    semantic,
    to_image,
)
from seg_assets.modeling.seem.prompts import RegionPrompt
from seg_assets_tests.modeling.seem.golden import Golden


@pytest.fixture(scope="module")
def features(golden: Golden) -> ImageFeatures:
    with torch.inference_mode():
        return golden.model.encode_image(golden.tensors["in/image"])


def check_queries(
    golden: Golden, name: str, prediction: Prediction, features: ImageFeatures
) -> None:
    golden.check(f"{name}/pred_logits", prediction.logits)
    golden.check(f"{name}/pred_maskembs", prediction.mask_embeddings)
    golden.check(f"{name}/pred_masks", features.masks(prediction.mask_embeddings))


def check_region(
    golden: Golden, name: str, prediction: Prediction, features: ImageFeatures, query: Tensor
) -> None:
    match = match_region(prediction, query)
    golden.check(f"{name}/similarity", match.similarity[..., None])
    golden.check(f"{name}/matched_query", match.query)
    golden.check(f"{name}/pred_class", match.class_id)
    mask = chosen_masks(prediction, features, match.query)
    golden.check(f"{name}/mask_logits_fullres", mask)
    golden.check(f"{name}/final_mask", mask > 0)


def test_text_encoder_and_class_table(golden: Golden) -> None:
    ids = golden.tensors["in/class_token_ids"]
    language = golden.model.language
    golden.check("text/class0_last_hidden_state", language.lang_encoder(ids[0]))
    sentences = language.encode(ids[0])[1]
    golden.check("text/class0_per_template_normalized", unit(sentences))
    golden.check("text/class_embeddings", language.class_table(ids))


def test_preprocessing(golden: Golden) -> None:
    golden.check("pre/images", preprocess(golden.tensors["in/image"]))


def test_backbone_and_pixel_decoder(golden: Golden) -> None:
    maps = golden.model.backbone(golden.tensors["pre/images"])
    for i, feature_map in enumerate(maps):
        golden.check(f"backbone/res{i + 2}", feature_map)
    pixels = golden.model.sem_seg_head.pixel_decoder(maps)
    golden.check("pixdec/mask_features", pixels.mask_features)
    golden.check("pixdec/transformer_features", pixels.encoded)
    for i, feature_map in enumerate(pixels.pyramid):
        golden.check(f"pixdec/multi_scale_{i}", feature_map)


def test_backbone_on_a_size_that_is_no_multiple_of_its_stride(golden: Golden) -> None:
    for i, feature_map in enumerate(golden.model.backbone(golden.tensors["in/backbone_odd_input"])):
        golden.check(f"backbone_odd/res{i + 2}", feature_map)


def test_object_queries_and_every_auxiliary_output(golden: Golden, features: ImageFeatures) -> None:
    golden.check("decoder/pos_level0", features.positions[0][:, None])
    golden.check("decoder/src_level0", features.memory[0].transpose(0, 1))
    prediction = golden.model.decode(features, golden.table, auxiliary=True)
    check_queries(golden, "plain", prediction, features)
    assert len(prediction.auxiliary) == golden.model.config.decoder_layers
    for i, earlier in enumerate(prediction.auxiliary):
        golden.check(f"plain/aux{i}/pred_logits", earlier.logits)
        golden.check(f"plain/aux{i}/pred_masks", features.masks(earlier.mask_embeddings))


@pytest.mark.parametrize("name", ["eval", "eval_resized"])
def test_semantic_panoptic_and_instances(
    golden: Golden, features: ImageFeatures, name: str
) -> None:
    params = golden.config["params"]
    prediction = golden.model.decode(features, golden.table)
    logits = prediction.logits[0]
    size = tuple(params["out2"]) if name == "eval_resized" else None
    masks = to_image(features.masks(prediction.mask_embeddings)[0], features, size)
    golden.check(f"{name}/sem_seg", semantic(logits, masks))

    painted, segments = panoptic(
        logits,
        masks,
        params["things"],
        score_threshold=params["obj_thr"],
        overlap_threshold=params["overlap"],
    )
    golden.check(f"{name}/panoptic_seg", painted)
    assert [
        {"id": s.id, "isthing": s.is_thing, "category_id": s.class_id} for s in segments
    ] == golden.config["json_outputs"][f"{name}_segments_info"]

    found = instances(logits, masks, params["things"], top=params["topk"])
    golden.check(f"{name}/instances_scores", found.scores)
    golden.check(f"{name}/instances_classes", found.class_ids)
    if name == "eval_resized":
        golden.check(f"{name}/instances_masks", found.masks)


@pytest.mark.parametrize("name", ["stroke_small", "stroke_big"])
def test_mask_prompt_with_the_points_that_upstream_drew(
    golden: Golden, features: ImageFeatures, name: str
) -> None:
    mask = golden.tensors[f"in/{name}"][None].bool()
    region = golden.model.read_masks(features, mask, indices=golden.indices(name))
    golden.check(f"{name}/pred_pspatials", region.query[None])
    golden.check(f"{name}/pred_nspatials", torch.zeros_like(region.query)[None])
    prediction = golden.model.decode(features, golden.table, regions=[region])
    check_queries(golden, name, prediction, features)
    check_region(golden, name, prediction, features, region.query)


def test_reference_image_prompt(golden: Golden, features: ImageFeatures) -> None:
    tokens = [golden.tensors[f"visual/tokens_{level}"].transpose(0, 1) for level in range(3)]
    valid = [torch.ones(t.shape[:2], dtype=torch.bool) for t in tokens]
    region = RegionPrompt(tokens, valid, golden.tensors["visual/query_pos"][0])
    golden.check("visual/pred_pvisuals", region.query[None])
    golden.check("visual/pred_nvisuals", torch.zeros_like(region.query)[None])
    prediction = golden.model.decode(features, golden.table, regions=[region])
    check_queries(golden, "visual", prediction, features)
    check_region(golden, "visual", prediction, features, region.query)


def test_reference_image_tokens_are_tokens_of_its_mask(golden: Golden) -> None:
    """The drawn pixels are not stored: each stored token must be that of one pixel of the mask."""
    features = golden.model.encode_image(golden.tensors["in/ref_image"])
    mask = golden.tensors["in/ref_stroke"][None].bool()
    everything = [torch.arange(int(mask.sum()))]
    prompt = golden.model.read_masks(
        features, mask, indices=dict.fromkeys(("mean", "l0", "l1", "l2"), everything)
    )
    for level in range(3):
        want = golden.tensors[f"visual/tokens_{level}"][:, 0]
        exact = "donot_use_mm_for_euclid_dist"
        distance = torch.cdist(want, prompt.tokens[level][0], compute_mode=exact).min(1).values
        assert distance.max() <= 1e-4 * want.norm(dim=1).max()


@pytest.mark.parametrize("name", ["text_a", "text_b", "text_pair", "stroke_and_text"])
def test_text_prompts_alone_and_with_a_mask_prompt(
    golden: Golden, features: ImageFeatures, name: str
) -> None:
    source = "text_a" if name == "stroke_and_text" else name
    ids, attention = (golden.tensors[f"in/{source}_{kind}"] for kind in ("ids", "attention_mask"))
    text = golden.model.read_texts(ids, attention, joined=True)
    golden.check(f"{name}/grounding_tokens", text.tokens.transpose(0, 1))
    golden.check(f"{name}/grounding_class", text.sentences)
    regions = []
    if name == "stroke_and_text":
        mask = golden.tensors["in/stroke_small"][None].bool()
        regions = [golden.model.read_masks(features, mask, indices=golden.indices(name))]
    prediction = golden.model.decode(features, golden.table, text=text, regions=regions)
    check_queries(golden, name, prediction, features)
    golden.check(f"{name}/pred_captions", prediction.captions)

    similarity, query = match_text(prediction, text.sentences, golden.model.language.logit_scale)
    golden.check(f"{name}/text_similarity", similarity.T)
    golden.check(f"{name}/text_matched_query", query)
    golden.check(f"{name}/text_pred_class", prediction.logits[0, query].argmax(-1))
    mask = chosen_masks(prediction, features, query)
    golden.check(f"{name}/text_mask_logits_fullres", mask)
    golden.check(f"{name}/text_final_mask", mask > 0)
    for region in regions:
        golden.check(f"{name}/pred_pspatials", region.query[None])
        golden.check(f"{name}/pred_nspatials", torch.zeros_like(region.query)[None])
        check_region(golden, name, prediction, features, region.query)


def test_every_reference_tensor_is_compared(
    golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs the tests above once more and lists the names that they ask for."""
    seen: set[str] = set()
    recorder = dataclasses.replace(golden)
    monkeypatch.setattr(
        Golden, "check", lambda _self, name, _got, _tolerance=1e-4: seen.add(name), raising=True
    )
    features = recorder.model.encode_image(recorder.tensors["in/image"])
    test_text_encoder_and_class_table(recorder)
    test_preprocessing(recorder)
    test_backbone_and_pixel_decoder(recorder)
    test_backbone_on_a_size_that_is_no_multiple_of_its_stride(recorder)
    test_object_queries_and_every_auxiliary_output(recorder, features)
    for name in ("eval", "eval_resized"):
        test_semantic_panoptic_and_instances(recorder, features, name)
    for name in ("stroke_small", "stroke_big"):
        test_mask_prompt_with_the_points_that_upstream_drew(recorder, features, name)
    test_reference_image_prompt(recorder, features)
    for name in ("text_a", "text_b", "text_pair", "stroke_and_text"):
        test_text_prompts_alone_and_with_a_mask_prompt(recorder, features, name)
    inputs = {
        name
        for name in recorder.tensors
        if name.startswith(("in/", "visual/tokens_", "visual/query_pos")) or "/sample_idx_" in name
    }
    assert seen == recorder.tensors.keys() - inputs
