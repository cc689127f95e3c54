"""Drawn prompts in training: rounds of clicks (S16) in both wirings."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from seg_assets.modeling.seem.decoder_v1 import decode_masks, even_queries, joint_points
from seg_assets.training.seem.batch import SeemBatch
from seg_assets.training.seem.spatial import (
    Strokes,
    image_features,
    object_prompts,
    own_query_rounds,
    own_query_terms,
)
from seg_assets_tests.training.seem.shapes import batch_of, task

V1: dict[str, Any] = {"wiring": "v1", "candidates": 2}


def test_strokes_begin_with_what_was_drawn_and_grow_by_clicks_s16() -> None:
    batch = batch_of(task(**V1), [0, 1])
    strokes = Strokes(batch)
    assert torch.equal(strokes.positive, batch.prompts)
    assert not strokes.negative.any()
    for image in range(2):
        for prompt in range(2):
            target = batch.masks[image, batch.prompted[image, prompt]]
            assert torch.equal(strokes.targets[image, prompt], target)
    target = strokes.targets[0, 0]
    strokes.positive[0, 0] = False
    strokes.click(0, 0, torch.zeros_like(target))  # nothing was found
    clicked = strokes.positive[0, 0]
    assert 0 < int(clicked.sum()) <= 9
    assert bool(target[clicked.nonzero().float().mean(0).round().long().unbind()])
    assert not strokes.negative.any()
    strokes.click(0, 0, ~target)  # the opposite was found: both errors are there
    assert int((strokes.positive | strokes.negative)[0, 0].sum()) > int(clicked.sum()) - 1
    strokes.click(0, 1, strokes.targets[0, 1])  # found: no click
    assert torch.equal(strokes.positive[0, 1], batch.prompts[0, 1])


def test_a_negative_click_keeps_out_what_is_wrong_s16() -> None:
    strokes = Strokes(batch_of(task(**V1), [0]))
    strokes.targets[0, 0] = False
    strokes.targets[0, 0, :8, :8] = True
    wrong = strokes.targets[0, 0].clone()
    wrong[20:60, 20:60] = True
    strokes.click(0, 0, wrong)
    assert int(strokes.negative[0, 0].sum()) == 9
    assert not (strokes.negative[0, 0] & ~wrong).any()


def test_empty_prompts_get_no_clicks() -> None:
    a_task = task()
    batch = batch_of(a_task, [0, 1])
    empty = _without_prompt(batch, 1)
    features = a_task.eval()._read(batch.images)
    table = torch.randn(5, 64)
    with torch.no_grad():
        positive, negative = object_prompts(a_task.seem, features, table, empty, 3)
    assert not positive.valid[0][1].any()
    assert not negative.valid[0][1].any()
    assert positive.valid[0][0].any()


def test_rounds_add_points_and_no_gradient_s16() -> None:
    a_task = task().eval()
    batch = batch_of(a_task, [0, 1])
    features = a_task._read(batch.images)
    table = torch.randn(5, 64)
    none = object_prompts(a_task.seem, features, table, batch, 0)
    assert len(none) == 1
    some = object_prompts(a_task.seem, features, table, batch, 3)
    assert len(some) == 2
    points = [int(some[0].valid[0].sum() + some[1].valid[0].sum()), int(none[0].valid[0].sum())]
    assert points[0] > points[1]


def test_own_queries_answer_as_inference_does() -> None:
    """One image's prompts without rounds equal the v1 wiring's first round."""
    a_task = task(**V1).eval()
    batch = batch_of(a_task, [0, 1])
    with torch.no_grad():
        features = a_task._read(batch.images)
        strokes = Strokes(batch)
        got = own_query_rounds(a_task.seem, features, strokes, 1, 0)
        own = image_features(features, 1)
        nothing = torch.zeros_like(batch.prompts[1])
        points = joint_points(batch.prompts[1], nothing, (64, 64), a_task.seem.config.max_points)
        decoder = a_task.seem.predictor
        want = decode_masks(decoder, own, points, even_queries(decoder, 2))
    assert torch.allclose(got.masks, want.masks, atol=1e-5)
    assert got.embeddings.shape == (a_task.outputs, 2, 3, 64)


def test_a_prompt_in_v1_does_not_depend_on_other_images() -> None:
    a_task = task(**V1).eval()
    both, one = batch_of(a_task, [0, 1]), batch_of(a_task, [1])
    with torch.no_grad():
        together = _sums(a_task, both)
        apart = {
            name: _sums(a_task, batch_of(a_task, [0]))[name] + value
            for name, value in _sums(a_task, one).items()
        }
    for name, value in together.items():
        assert float(value) == pytest.approx(float(apart[name]), abs=1e-4)


def test_the_costs_of_drawn_prompts_are_really_used_s14() -> None:
    """With all the weight on another part, other queries are chosen."""
    losses = []
    for costs in (
        {"classes": 0, "bce": 5, "dice": 0},
        {"classes": 5, "bce": 0, "dice": 0},
    ):
        a_task = task(**V1, spatial_costs=costs).eval()
        with torch.no_grad():
            terms = _sums(a_task, batch_of(a_task, [0, 1, 2, 3]))
        losses.append({name: float(value) for name, value in terms.items()})
    by_mask, by_likeness = losses
    heads = range(4)
    assert sum(by_mask[f"loss_spatial_bce_{i}"] for i in heads) < sum(
        by_likeness[f"loss_spatial_bce_{i}"] for i in heads
    )
    assert sum(by_mask[f"loss_spatial_ce_{i}"] for i in heads) > sum(
        by_likeness[f"loss_spatial_ce_{i}"] for i in heads
    )


def _sums(a_task: Any, batch: SeemBatch) -> dict[str, Tensor]:
    features = a_task._read(batch.images)
    counts = {"prompts": 1.0}
    return own_query_terms(a_task.seem, features, batch, a_task.params, counts, 1)


def _without_prompt(batch: SeemBatch, image: int) -> SeemBatch:
    prompts, prompted = batch.prompts.clone(), batch.prompted.clone()
    prompts[image], prompted[image] = False, -1
    return replace(batch, prompts=prompts, prompted=prompted)
