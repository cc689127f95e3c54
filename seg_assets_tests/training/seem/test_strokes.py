"""Drawn prompts."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_assets.training.seem.params import PromptShape
from seg_assets.training.seem.strokes import draw_prompt

SHAPES = get_args(PromptShape)


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.integers(6, 40)), draw(st.integers(6, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.random((height, width)) < draw(st.floats(0.3, 1))


@given(masks(), st.sampled_from(SHAPES), st.integers(0, 2**32))
def test_a_prompt_lies_inside_its_segment_and_is_not_empty(
    mask: np.ndarray, shape: PromptShape, seed: int
) -> None:
    drawn = draw_prompt(mask, shape, np.random.default_rng(seed))
    assert drawn.dtype == np.bool_
    assert not (drawn & ~mask).any()
    assert drawn.any() == (mask.sum() >= 10)
    again = draw_prompt(mask, shape, np.random.default_rng(seed))
    assert np.array_equal(drawn, again)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("pixels", "empty"), [(9, True), (10, False)])
def test_tiny_segments_get_an_empty_prompt(shape: PromptShape, pixels: int, empty: bool) -> None:
    mask = np.zeros((20, 20), bool)
    mask.ravel()[:pixels] = True
    assert draw_prompt(mask, shape, np.random.default_rng(0)).any() != empty


def test_points_are_one_to_twenty_pixels() -> None:
    mask = np.ones((30, 30), bool)
    numbers = {
        int(draw_prompt(mask, "points", np.random.default_rng(seed)).sum()) for seed in range(300)
    }
    assert numbers == set(range(1, 20 + 1))


def test_shapes_differ_in_size() -> None:
    mask = np.ones((64, 64), bool)
    mean = {
        shape: np.mean(
            [draw_prompt(mask, shape, np.random.default_rng(seed)).sum() for seed in range(60)]
        )
        for shape in SHAPES
    }
    assert mean["mask"] == 64 * 64
    assert mean["points"] < mean["scribble"] < mean["polygon"] < mean["mask"]
    assert mean["scribble"] < mean["circle"] < mean["mask"]
