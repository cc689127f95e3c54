"""Images of different numbers of targets, prompts and texts in one batch."""

import numpy as np
import torch

from seg_assets.training.seem.batch import SeemItem, collate_items


def item(targets: int, prompts: int, texts: tuple[str, ...]) -> SeemItem:
    return SeemItem(
        image=np.full((32, 32, 3), targets, np.uint8),
        masks=np.ones((targets, 32, 32), bool),
        class_ids=np.arange(targets),
        prompts=np.ones((prompts, 32, 32), bool),
        prompted=np.arange(prompts),
        texts=texts,
        text_masks=np.ones((len(texts), 32, 32), bool),
        free_text=bool(texts),
        seed=targets,
    )


def test_shorter_lists_are_padded_behind() -> None:
    batch = collate_items([item(1, 2, ("a dog", "sky", "sky")), item(3, 0, ())], 77)
    assert batch.images.shape == (2, 3, 32, 32)
    assert batch.size == (32, 32)
    assert batch.class_ids.tolist() == [[0, -1, -1], [0, 1, 2]]
    assert batch.valid.tolist() == [[True, False, False], [True, True, True]]
    assert batch.masks.any((2, 3)).tolist() == [[True, False, False], [True, True, True]]
    assert batch.prompted.tolist() == [[0, 1], [-1, -1]]
    assert batch.prompt_valid.tolist() == [[True, True], [False, False]]
    assert batch.text_valid.tolist() == [[True] * 3, [False] * 3]
    assert batch.same_text[0].int().tolist() == [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    assert not batch.same_text[1].any()
    assert batch.seeds.tolist() == [1, 3]


def test_an_empty_drawing_does_not_count() -> None:
    drawn = item(2, 2, ())
    drawn.prompts[0] = False
    batch = collate_items([drawn], 77)
    assert batch.prompted.tolist() == [[-1, 1]]


def test_a_batch_may_have_no_targets_prompts_and_texts() -> None:
    batch = collate_items([item(0, 0, ())], 77)
    assert batch.masks.shape == (1, 0, 32, 32)
    assert batch.words.shape[:2] == (1, 0)
    assert batch.words.dtype == torch.int64


def test_texts_are_cut_to_the_context() -> None:
    batch = collate_items([item(1, 1, ("dog " * 50, "cat"))], 8)
    assert batch.words.shape == (1, 2, 8)
    assert batch.word_valid.sum(2).tolist() == [[8, 3]]
