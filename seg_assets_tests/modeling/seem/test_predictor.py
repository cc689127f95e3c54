"""The notebook's view, on a tiny model of random weights: shapes, sizes, independence, refusals."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from seg_assets.errors import InputError
from seg_assets.modeling.seem.class_table import build_text_table
from seg_assets.modeling.seem.predictor import SeemPredictor, Wiring
from seg_assets.modeling.seem.prompted_masks import PromptedMasks
from seg_assets_tests.modeling.seem.golden import Golden
from seg_assets_tests.modeling.seem.tiny import tiny_seem

NAMES = ("cat", "dog", "sky", "tree")


@pytest.fixture(scope="module")
def predictor() -> SeemPredictor:
    model = tiny_seem()
    table = build_text_table(model, NAMES, ["{}."])
    return SeemPredictor(model, table, prompts_at_once=2)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def boxes(height: int, width: int) -> np.ndarray:
    """Three masks: the whole image, its upper left quarter, one pixel."""
    masks = np.zeros((3, height, width), bool)
    masks[0] = True
    masks[1, : (height + 1) // 2, : (width + 1) // 2] = True
    masks[2, -1, -1] = True
    return masks


def equal(got: PromptedMasks, want: PromptedMasks) -> bool:
    return all(
        np.allclose(getattr(got, f.name), getattr(want, f.name), atol=1e-5)
        for f in dataclasses.fields(PromptedMasks)
    )


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (31, 33), (64, 96), (5, 200)])
@pytest.mark.parametrize("wiring", ["demo", "v1"])
def test_every_image_size_has_answers(
    predictor: SeemPredictor, size: tuple[int, int], wiring: Wiring
) -> None:
    features = predictor.read(noise(*size))
    found = predictor.segment_masks(features, boxes(*size), wiring=wiring)
    assert found.masks.shape == (3, *size)
    assert found.masks.dtype == bool
    assert found.scores.dtype == found.similarities.dtype == np.float32
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert ((found.class_ids >= 0) & (found.class_ids <= len(NAMES))).all()


def test_every_result_of_an_image(predictor: SeemPredictor) -> None:
    features = predictor.read(noise(33, 47))
    scores = predictor.semantic(features)
    assert scores.shape == (len(NAMES), 33, 47)
    assert (scores >= 0).all()
    painted, segments = predictor.panoptic(features, things={0, 1}, score_threshold=0.0)
    assert painted.shape == (33, 47)
    assert painted.dtype == np.int32
    assert set(np.unique(painted)) - {0} == {segment.id for segment in segments}
    found = predictor.instances(features, things={0, 1}, top=10)
    assert set(found.class_ids.tolist()) <= {0, 1}
    assert (found.scores.diff() <= 0).all()


def test_nothing_above_the_threshold_is_an_empty_panoptic_map(predictor: SeemPredictor) -> None:
    painted, segments = predictor.panoptic(noise(33, 47), score_threshold=1.0)
    assert not painted.any()
    assert segments == []


@pytest.mark.parametrize("wiring", ["demo", "v1"])
def test_masks_do_not_influence_each_other(predictor: SeemPredictor, wiring: Wiring) -> None:
    features, masks = predictor.read(noise(40, 50)), boxes(40, 50)
    negatives = ~masks
    together = predictor.segment_masks(features, masks, negatives=negatives, wiring=wiring)
    alone = [
        predictor.segment_masks(features, m, negatives=n, wiring=wiring)
        for m, n in zip(masks, negatives, strict=True)
    ]
    assert equal(together, PromptedMasks.joined(alone, (40, 50)))


def test_texts_do_not_influence_each_other(predictor: SeemPredictor) -> None:
    features = predictor.read(noise(40, 50))
    texts = ["a cat", "the brown dog on the left", "sky"]
    together = predictor.segment_text(features, texts)
    alone = [predictor.segment_text(features, text) for text in texts]
    assert together.masks.shape == (3, 40, 50)
    assert equal(together, PromptedMasks.joined(alone, (40, 50)))


def test_a_reference_image_may_have_another_size(predictor: SeemPredictor) -> None:
    found = predictor.segment_like(noise(40, 50), noise(33, 70, seed=1), boxes(33, 70))
    assert found.masks.shape == (3, 40, 50)


def test_the_image_as_its_own_reference_is_a_mask_prompt(predictor: SeemPredictor) -> None:
    features, masks = predictor.read(noise(40, 50)), boxes(40, 50)
    like = predictor.segment_like(features, features, masks)
    assert equal(like, predictor.segment_masks(features, masks))


@pytest.mark.parametrize("wiring", ["demo", "v1"])
def test_no_masks_are_a_normal_result(predictor: SeemPredictor, wiring: Wiring) -> None:
    none = np.zeros((0, 40, 50), bool)
    found = predictor.segment_masks(noise(40, 50), none, wiring=wiring)
    assert found.masks.shape == (0, 40, 50)
    assert len(found.scores) == len(found.similarities) == len(found.class_ids) == 0
    assert predictor.segment_like(noise(40, 50), noise(40, 50), none).masks.shape == (0, 40, 50)


def test_mirrored_and_read_only_images_are_read(predictor: SeemPredictor) -> None:
    image = noise(40, 50)
    mirrored = image[:, ::-1]
    image.flags.writeable = False
    assert np.array_equal(
        predictor.semantic(mirrored), predictor.semantic(np.ascontiguousarray(mirrored))
    )


def test_mixed_precision_gives_float32_close_to_the_full_one(predictor: SeemPredictor) -> None:
    image, masks = noise(64, 64), boxes(64, 64)
    mixed = SeemPredictor(predictor.model, predictor.text_table, autocast=torch.bfloat16)
    assert mixed.semantic(image).dtype == np.float32
    assert np.abs(mixed.semantic(image) - predictor.semantic(image)).max() < 0.2
    for wiring in ("demo", "v1"):
        assert mixed.segment_masks(image, masks, wiring=wiring).masks.shape == (3, 64, 64)
    assert mixed.segment_text(image, "a cat").scores.shape == (1,)


def test_the_same_prompt_twice_gives_the_same_bits(predictor: SeemPredictor) -> None:
    first, second = (predictor.segment_masks(noise(40, 50), boxes(40, 50)) for _ in range(2))
    assert json.dumps(first.similarities.tolist()) == json.dumps(second.similarities.tolist())
    assert np.array_equal(first.masks, second.masks)


def test_a_mask_prompt_finds_what_the_reference_found(golden: Golden) -> None:
    """All points of a small mask are used, so upstream's random choice leaves nothing to chance."""
    predictor = SeemPredictor(golden.model, golden.table)
    image = golden.tensors["in/image"].permute(1, 2, 0).numpy()
    found = predictor.segment_masks(image, golden.tensors["in/stroke_small"].numpy())
    wanted = golden.tensors["stroke_small/final_mask"].numpy()
    assert (found.masks != wanted).mean() <= 1e-3
    assert found.class_ids.tolist() == golden.tensors["stroke_small/pred_class"].tolist()


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), float), np.zeros((0, 8, 3), np.uint8)],
)
def test_other_images_are_refused(predictor: SeemPredictor, image: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"give RGB of shape \(H, W, 3\) and type uint8"):
        predictor.read(image)


def test_wrong_prompts_are_refused(predictor: SeemPredictor) -> None:
    features = predictor.read(noise(40, 50))
    masks = boxes(40, 50)
    with pytest.raises(InputError, match=r"give \(N, 40, 50\)"):
        predictor.segment_masks(features, boxes(50, 40))
    with pytest.raises(InputError, match="2 negative masks for 3 masks"):
        predictor.segment_masks(features, masks, negatives=masks[:2])
    with pytest.raises(InputError, match="Mask prompt 0 is empty"):
        predictor.segment_like(features, features, np.zeros((40, 50), bool))
    with pytest.raises(InputError, match="no wiring 'other'"):
        predictor.segment_masks(features, masks, wiring="other")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no texts"):
        predictor.segment_text(features, [])
