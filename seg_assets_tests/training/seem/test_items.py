"""What is asked about a training image."""

from dataclasses import replace

import numpy as np
import pytest

from seg_assets.training.seem.items import SEEDS, choose_texts, make_item
from seg_assets_tests.training.seem.shapes import TABLE, Shapes, params


def test_an_item_is_a_function_of_its_chance() -> None:
    given = params(augmentation="lsj", wiring="v1", candidates=3)
    one, other, third = (
        make_item(Shapes()[0], TABLE, given, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.prompts, other.prompts)
    assert one.texts == other.texts
    assert one.seed == other.seed < SEEDS
    assert one.seed != third.seed


def test_prompts_lie_on_different_segments() -> None:
    given = params(wiring="v1", candidates=3)
    item = make_item(Shapes()[0], TABLE, given, np.random.default_rng(0))
    assert len(set(item.prompted.tolist())) == 3
    assert not (item.prompts & ~item.masks[item.prompted]).any()


def test_the_prompt_of_the_label_stage_is_the_whole_segment() -> None:
    given = params(prompt_shapes=("mask",))
    item = make_item(Shapes()[0], TABLE, given, np.random.default_rng(0))
    assert np.array_equal(item.prompts, item.masks[item.prompted])


def test_more_candidates_than_segments_take_all() -> None:
    item = make_item(
        Shapes()[0], TABLE, params(wiring="v1", candidates=9), np.random.default_rng(0)
    )
    assert sorted(item.prompted.tolist()) == list(range(len(item.masks)))


def test_what_is_not_trained_is_not_asked() -> None:
    item = make_item(Shapes()[0], TABLE, params(spatial=0, grounding=0), np.random.default_rng(0))
    assert len(item.prompts) == len(item.texts) == len(item.text_masks) == 0


def test_class_texts_mean_every_segment_of_the_class() -> None:
    sample = Shapes()[0]
    doubled = replace(sample, class_ids=np.array([2, 3, 0, 0]))
    for seed in range(20):
        texts, meant = choose_texts(doubled, TABLE, 4, np.random.default_rng(seed))
        assert 1 <= len(set(texts)) <= 3
        for text, mask in zip(texts, meant, strict=True):
            name = next(name for name in TABLE.names if name in text)
            segments = doubled.masks[doubled.class_ids == TABLE.id_of(name)]
            assert any(np.array_equal(mask, segment) for segment in segments)
        balls = [text for text in texts if "ball" in text]
        assert len(balls) in (0, 2)
        assert len(set(balls)) <= 1


def test_sentences_come_before_class_names_in_small_letters() -> None:
    sample = Shapes(sentences=True)[0]
    texts, meant = choose_texts(sample, TABLE, 4, np.random.default_rng(0))
    assert texts == ("the red ball",)
    assert np.array_equal(meant, sample.referred)
    assert make_item(sample, TABLE, params(), np.random.default_rng(0)).free_text


def test_what_is_cut_to_a_few_pixels_is_not_asked_for() -> None:
    """Neither as a target nor by its sentence; then the class names are asked for."""
    sample = Shapes(sentences=True)[0]
    tiny = np.zeros_like(sample.masks[:1])
    tiny[0, 20, 20:29] = True  # 9 pixels
    masks, ids = np.concatenate([sample.masks, tiny]), np.append(sample.class_ids, 1)
    cut = replace(sample, masks=masks, class_ids=ids, referred=tiny)
    item = make_item(cut, TABLE, params(), np.random.default_rng(0))
    assert item.class_ids.tolist() == sample.class_ids.tolist()
    assert not item.free_text
    assert item.texts


@pytest.mark.parametrize("most", [1, 4])
def test_there_are_at_most_so_many_classes(most: int) -> None:
    numbers = {
        len(choose_texts(Shapes()[0], TABLE, most, np.random.default_rng(seed))[0])
        for seed in range(60)
    }
    assert numbers == set(range(1, most + 1))
