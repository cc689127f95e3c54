"""Loss terms by hand (S12)."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seg_assets.modeling.seem.features import ImageFeatures
from seg_assets.training.seem.batch import SeemBatch
from seg_assets.training.seem.criterion import batch_counts, grounding_terms, object_terms
from seg_assets.training.seem.heads import HeadStack
from seg_assets.training.seem.losses import (
    TASKS,
    class_sums,
    class_weight,
    shared_targets,
    term_names,
)
from seg_assets.training.seem.matcher import Pairs
from seg_assets.training.seem.params import LossWeights
from seg_assets.training.seem.spatial import prompted_object_terms
from seg_assets_tests.training.seem.shapes import params, task

HEADS, QUERIES, CLASSES, CELLS = 2, 4, 3, 4


def features() -> ImageFeatures:
    """One image of 8 x 8 pixels: 2 x 2 cells of zeros."""
    zeros = torch.zeros(1, 5, 2, 2)
    return ImageFeatures(zeros, [], [], [], [], [], (8, 8), (8, 8))


def stack() -> HeadStack:
    """Queries that are undecided about everything."""
    return HeadStack(
        torch.zeros(HEADS, 1, QUERIES, CLASSES + 1),
        torch.zeros(HEADS, 1, QUERIES, 6),
        torch.zeros(HEADS, 1, QUERIES, 5),
    )


def batch(**changes: Any) -> SeemBatch:
    """One image with two targets, the upper and the lower half; one prompt; two equal texts."""
    masks = torch.zeros(1, 2, 8, 8, dtype=torch.bool)
    masks[0, 0, :4] = masks[0, 1, 4:] = True
    values: dict[str, Any] = {
        "images": torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        "class_ids": torch.tensor([[2, 0]]),
        "masks": masks,
        "prompts": masks[:, :1],
        "prompted": torch.tensor([[0]]),
        "words": torch.ones(1, 2, 3, dtype=torch.int64),
        "word_valid": torch.ones(1, 2, 3, dtype=torch.bool),
        "same_text": torch.ones(1, 2, 2, dtype=torch.bool),
        "text_masks": masks,
        "free_text": torch.tensor([True]),
        "seeds": torch.tensor([1]),
    }
    return SeemBatch(**(values | changes))


def values(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


# two cells of four: 1 - (2 * 1 + 1) / (2 + 2 + 1)
HALF_DICE = 1 - 3 / 5


def test_weights_are_the_published_ones_s12() -> None:
    weights = LossWeights()
    found = {f"{task}_{part}": weights.of(task, part) for task in TASKS for part in ("ce", "bce")}
    assert found == {
        "mask_ce": 2,
        "mask_bce": 5,
        "grounding_ce": 0.4,
        "grounding_bce": 1,
        "spatial_ce": 0.4,
        "spatial_bce": 1,
    }
    assert (weights.mask_dice, weights.grounding_dice, weights.spatial_dice) == (5, 1, 1)
    assert (weights.no_object, weights.free_text, weights.class_text) == (0.1, 2.0, 0.5)


def test_object_terms_by_hand_s12() -> None:
    counts = batch_counts(batch(), QUERIES, params())
    assert counts == {"class_weight": 2 + 0.1 * 2, "targets": 2, "texts": 2, "prompts": 1}
    terms, pairs = object_terms(stack(), features(), batch(), params(), counts)
    assert len(pairs) == HEADS * 2
    for head in range(HEADS):
        # the mean of equal losses is that loss, whatever the weights
        found = values(terms)
        assert found[f"loss_mask_ce_{head}"] == pytest.approx(2 * math.log(4), abs=1e-5)
        assert found[f"loss_mask_bce_{head}"] == pytest.approx(5 * math.log(2), abs=1e-5)
        assert found[f"loss_mask_dice_{head}"] == pytest.approx(5 * HALF_DICE, abs=1e-5)


def test_of_more_targets_than_queries_those_count_that_can_be_matched_s12() -> None:
    counts = batch_counts(batch(), 1, params())
    assert (counts["targets"], counts["texts"], counts["class_weight"]) == (1, 1, 1)
    uneven = batch(
        class_ids=torch.tensor([[0, 1, 2], [0, -1, -1]]),
        word_valid=torch.tensor([[True] * 3, [True, False, False]])[..., None],
    )
    counts = batch_counts(uneven, 2, params())
    assert (counts["targets"], counts["texts"]) == (2 + 1, 2 + 1)
    assert counts["class_weight"] == pytest.approx(2 + 1 + 0.1)


def test_objects_are_matched_by_the_probability_among_classes_s14() -> None:
    """All masks are alike; query 0 is less sure of class 2 than query 1, but of nothing else."""
    logits = torch.tensor([[1.0, 0.0, 2.0, 0.0], [9.0, 9.0, 3.0, 9.0]])
    sure = HeadStack(logits[None, None], torch.zeros(1, 1, 2, 6), torch.zeros(1, 1, 2, 5))
    one = batch(class_ids=torch.tensor([[2]]), masks=batch().masks[:, :1])
    _, pairs = object_terms(sure, features(), one, params(), batch_counts(one, 2, params()))
    assert pairs.queries.tolist() == [0]


def one_text() -> SeemBatch:
    """About the upper half."""
    return batch(
        words=torch.ones(1, 1, 3, dtype=torch.int64),
        word_valid=torch.ones(1, 1, 3, dtype=torch.bool),
        same_text=torch.ones(1, 1, 1, dtype=torch.bool),
        text_masks=batch().masks[:, :1],
    )


def test_texts_are_matched_by_the_probability_among_queries_s14() -> None:
    """All masks are alike and query 2 resembles the text: it is right, the others are not."""
    captions = torch.eye(3)[None, None]
    alike = HeadStack(torch.zeros(1, 1, 3, 2), captions, torch.zeros(1, 1, 3, 5))
    counts = batch_counts(one_text(), 3, params())
    sentences, scale = torch.tensor([[[0.0, 0.0, 1.0]]]), torch.tensor(1.0)
    terms = grounding_terms(alike, sentences, scale, features(), one_text(), params(), counts)
    wanted = 0.4 * 2 * (math.log(math.exp(math.e) + 2) - math.e)
    assert values(terms)["loss_grounding_ce_0"] == pytest.approx(wanted, abs=1e-4)


def test_texts_of_a_large_scale_are_held_at_a_hundred() -> None:
    captions = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[None, None]
    found = HeadStack(torch.zeros(1, 1, 2, 2), captions, torch.zeros(1, 1, 2, 5))
    one = batch(same_text=torch.eye(2, dtype=torch.bool)[None])
    sentences = torch.tensor([[[1.0, 0.999], [0.0, 1.0]]])
    counts = batch_counts(one, 2, params())
    cuts = [
        values(
            grounding_terms(found, sentences, torch.tensor(s), features(), one, params(), counts)
        )
        for s in (math.log(100.0), 9.0)
    ]
    assert cuts[0] == cuts[1]


def test_no_object_weighs_a_tenth_s12() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0]])[None, None]
    wanted = torch.tensor([[[0, 1]]])
    sure, unsure = math.log(1 + math.exp(-2)), math.log(1 + math.exp(1))
    assert float(class_sums(logits, wanted, 0.1)) == pytest.approx(sure + 0.1 * unsure, abs=1e-5)
    assert class_weight(torch.tensor([[0, -1], [-1, -1]]), 5, 0.1) == pytest.approx(1 + 0.1 * 9)
    # more targets than queries: all queries are matched
    assert class_weight(torch.zeros(1, 7), 5, 0.1) == pytest.approx(5)


@pytest.mark.parametrize(("free_text", "factor"), [(True, 2.0), (False, 0.5)])
def test_grounding_terms_by_hand_s12(free_text: bool, factor: float) -> None:
    one = batch(free_text=torch.tensor([free_text]))
    counts = batch_counts(one, QUERIES, params())
    scale = torch.tensor(2.0)
    sentences = torch.randn(1, 2, 6)
    terms = grounding_terms(stack(), sentences, scale, features(), one, params(), counts)
    for head in range(HEADS):
        found = values(terms)
        wanted = 0.4 * factor * math.log(QUERIES)
        assert found[f"loss_grounding_ce_{head}"] == pytest.approx(wanted, abs=1e-5)
        assert found[f"loss_grounding_bce_{head}"] == pytest.approx(math.log(2), abs=1e-5)
        assert found[f"loss_grounding_dice_{head}"] == pytest.approx(HALF_DICE, abs=1e-5)


def test_equal_texts_share_their_queries_s12() -> None:
    """Texts 0 and 2 are equal and have the queries 1 and 3; nothing was matched with text 3."""
    same = torch.eye(4, dtype=torch.bool)[None]
    same[0, 0, 2] = same[0, 2, 0] = True
    rows = torch.tensor([(0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 3, 2)]).T
    shares = shared_targets(same, Pairs(*rows), 1, 4)[0, 0]
    assert shares.tolist() == [
        [0.0, 1.0, 0.0, 0.0],
        [0.5, 0.0, 0.5, 0.0],
        [0.0, 0.0, 0.0, 0.0],
        [0.5, 0.0, 0.5, 0.0],
    ]


def test_shares_are_exact_in_mixed_precision_s12() -> None:
    rows = torch.tensor([(0, 0, i, i) for i in range(3)]).T
    with torch.autocast("cpu", torch.bfloat16):
        shares = shared_targets(torch.ones(1, 3, 3, dtype=torch.bool), Pairs(*rows), 1, 3)
    assert torch.equal(shares, torch.full((1, 1, 3, 3), 1 / 3))


def test_prompt_terms_by_hand_s12() -> None:
    one = batch()
    counts = batch_counts(one, QUERIES, params())
    _, pairs = object_terms(stack(), features(), one, params(), counts)
    query = torch.zeros(1, 5)
    terms = prompted_object_terms(stack(), pairs, query, one, params(), counts)
    # the mask of the query that answers has its loss among the objects, and none here
    want = {f"loss_spatial_ce_{head}": 0.4 * math.log(QUERIES) for head in range(HEADS)}
    assert values(terms) == pytest.approx(want, abs=1e-5)


def test_an_empty_prompt_costs_nothing_s12() -> None:
    one = batch(prompted=torch.tensor([[-1]]))
    counts = batch_counts(one, QUERIES, params())
    assert counts["prompts"] == 0
    _, pairs = object_terms(stack(), features(), one, params(), counts)
    given = counts | {"prompts": 1.0}  # as the loop does it
    terms = prompted_object_terms(stack(), pairs, torch.zeros(1, 5), one, params(), given)
    assert set(values(terms).values()) == {0.0}


def test_the_answer_to_a_prompt_is_the_query_most_like_it_s12() -> None:
    one = batch()
    counts = batch_counts(one, QUERIES, params())
    _, pairs = object_terms(stack(), features(), one, params(), counts)
    embeddings = torch.zeros(HEADS, 1, QUERIES, 5)
    answering = pairs.queries[pairs.targets == 0]
    embeddings[torch.arange(HEADS), 0, answering] = 4.0
    likely = HeadStack(stack().logits, stack().captions, embeddings)
    query = torch.ones(1, 5)
    terms = values(prompted_object_terms(likely, pairs, query, one, params(), counts))
    assert terms["loss_spatial_ce_0"] == pytest.approx(0, abs=1e-5)


def test_nine_names_per_output_s12() -> None:
    assert len(term_names(10)) == len(set(term_names(10))) == 90
    a_task = task()
    one = a_task.collate([a_task.sample(0, _rng()), a_task.sample(1, _rng())])
    terms = a_task(one, a_task.counts(one))
    assert list(terms) == term_names(a_task.outputs)
    assert len(terms) == 9 * 4


def _rng() -> Any:
    return np.random.default_rng(0)
