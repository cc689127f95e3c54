"""Masks compared on all cells or on sampled points (S13)."""

import math

import pytest
import torch
from torch import Tensor

from seg_assets.training.seem.mask_terms import (
    CellMasks,
    PointMasks,
    bce_of,
    dice_of,
    logits_at,
    pairwise_costs,
    read_points,
    undecided,
)
from seg_assets.training.seem.matcher import Pairs
from seg_assets.training.seem.params import POINTS, PointParams


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def pairs_of(*rows: tuple[int, int, int, int]) -> Pairs:
    return Pairs(*torch.tensor(rows).T)


def test_losses_of_undecided_masks_by_hand_s12() -> None:
    logits, full = torch.zeros(4), torch.ones(4)
    assert float(bce_of(logits, full)) == pytest.approx(math.log(2), abs=1e-5)
    # 1 - (2 * 4 * 0.5 + 1) / (4 * 0.5 + 4 + 1)
    assert float(dice_of(logits, full)) == pytest.approx(2 / 7, abs=1e-5)
    assert float(dice_of(torch.full((4,), -50.0), torch.zeros(4))) == pytest.approx(0, abs=1e-5)


def test_costs_of_all_pairs_equal_the_losses_one_by_one(generator: torch.Generator) -> None:
    logits = 3 * torch.randn(2, 1, 3, 20, generator=generator)
    targets = torch.rand(1, 2, 20, generator=generator)
    bce, dice = pairwise_costs(logits, targets)
    for head in range(2):
        for query in range(3):
            for target in range(2):
                one, other = logits[head, 0, query], targets[0, target]
                place = head, 0, query, target
                assert float(bce[place]) == pytest.approx(float(bce_of(one, other)), abs=1e-5)
                assert float(dice[place]) == pytest.approx(float(dice_of(one, other)), abs=1e-5)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_costs_keep_full_precision_under_autocast(
    generator: torch.Generator, half: torch.dtype
) -> None:
    """12,544 points of a sure query sum to more than float16 holds, and no cost may be infinite."""
    logits = torch.full((1, 1, 2, POINTS), 20.0)
    logits[0, 0, 1] = 10 * torch.randn(POINTS, generator=generator)
    targets = (torch.rand(1, 2, POINTS, generator=generator) > 0.3).float()
    wanted = pairwise_costs(logits, targets)
    with torch.autocast("cpu", half):
        found = pairwise_costs(logits, targets)
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)


def test_cells_hold_the_share_of_the_mask() -> None:
    masks = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    masks[0, 0, :4, :2] = True  # half of the first of four cells
    cells = CellMasks(torch.zeros(1, 1, 2, 3), torch.zeros(1, 3, 2, 2), masks)
    assert cells.targets.tolist() == [[[0.5, 0, 0, 0]]]
    bce, _ = cells.losses(pairs_of((0, 0, 1, 0)))
    assert float(bce) == pytest.approx(math.log(2), abs=1e-5)


def test_the_default_points_are_the_published_ones_s13() -> None:
    params = PointParams()
    assert (params.count, params.oversample, params.uncertain) == (12_544, 3, 0.75)
    assert POINTS == 112**2


def test_undecided_points_are_those_nearest_to_zero_s13() -> None:
    logits = torch.tensor([[5.0, -0.1, 2.0, 0.2, -3.0], [0.0, 9.0, -9.0, 1.0, 8.0]])
    assert undecided(logits, 2).sort(1).values.tolist() == [[1, 3], [0, 3]]


def test_three_quarters_of_the_points_lie_where_the_mask_is_undecided_s13(
    generator: torch.Generator,
) -> None:
    params = PointParams(count=40, oversample=3, uncertain=0.75)
    features = torch.randn(1, 4, 16, 16, generator=generator)
    embeddings = torch.randn(2, 4, generator=generator)
    masks = torch.zeros(1, 2, 64, 64, dtype=torch.bool)
    terms = PointMasks(embeddings[None, None], features, masks, params, [7])
    targets = torch.tensor([0, 1])
    points = terms.loss_points(embeddings, features, targets, torch.Generator().manual_seed(9))
    assert points.shape == (2, 40, 2)
    # of what is drawn for a mask, three times as many are candidates and the rest is kept
    drawn = torch.rand((2, 130, 2), generator=torch.Generator().manual_seed(9))
    candidates = drawn[:, :120]
    everywhere = logits_at(embeddings, features, candidates).abs().sort(1).values
    chosen = logits_at(embeddings, features, points[:, :30]).abs().sort(1).values
    assert torch.allclose(chosen, everywhere[:, :30], atol=1e-5)
    assert torch.equal(points[:, 30:], drawn[:, 120:])


def test_points_of_an_image_do_not_depend_on_its_batch_s18(generator: torch.Generator) -> None:
    params = PointParams(count=30)
    embeddings = torch.randn(2, 2, 3, 4, generator=generator)
    features = torch.randn(2, 4, 8, 8, generator=generator)
    masks = torch.rand(2, 2, 32, 32, generator=generator) > 0.5
    both = PointMasks(embeddings, features, masks, params, [3, 4])
    # alone, and with fewer targets to pad for
    second = PointMasks(embeddings[:, 1:], features[1:], masks[1:, :1], params, [4])
    for together, alone in zip(both.costs(), second.costs(), strict=True):
        assert torch.allclose(together[:, 1:, :, :1], alone, atol=1e-6)
    pairs = pairs_of((0, 0, 0, 1), (0, 1, 2, 0), (1, 1, 0, 0))
    own = pairs_of((0, 0, 2, 0), (1, 0, 0, 0))
    for together, alone in zip(both.losses(pairs), second.losses(own), strict=True):
        assert torch.allclose(together[1:], alone, atol=1e-6)


def test_losses_come_in_the_order_of_the_pairs(generator: torch.Generator) -> None:
    embeddings = torch.randn(2, 2, 3, 4, generator=generator)
    features = torch.randn(2, 4, 8, 8, generator=generator)
    masks = torch.rand(2, 2, 32, 32, generator=generator) > 0.5
    terms = PointMasks(embeddings, features, masks, PointParams(count=30), [3, 4])
    rows = [(0, 0, 0, 1), (0, 1, 2, 0), (1, 0, 1, 0), (1, 1, 0, 1)]
    turned = [rows[i] for i in (2, 0, 3, 1)]
    for one, other in zip(
        terms.losses(pairs_of(*rows)), terms.losses(pairs_of(*turned)), strict=True
    ):
        assert len(set(one.tolist())) == 4
        assert torch.equal(one[[2, 0, 3, 1]], other)


def test_each_head_is_compared_on_points_of_its_own_s13(generator: torch.Generator) -> None:
    """As drawn anew: the heads answer alike here, yet their losses differ."""
    embeddings = torch.randn(1, 1, 2, 4, generator=generator).expand(3, 1, 2, 4)
    features = torch.randn(1, 4, 8, 8, generator=generator)
    masks = torch.rand(1, 1, 32, 32, generator=generator) > 0.5
    terms = PointMasks(embeddings, features, masks, PointParams(count=30), [3])
    bce, _ = terms.losses(pairs_of((0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0)))
    assert len(set(bce.tolist())) == 3


def test_points_agree_with_cells_on_smooth_masks() -> None:
    """Uniform points and all cells estimate the same mean."""
    ramp = torch.linspace(-4, 4, 16).expand(1, 1, 16, 16)
    masks = (torch.linspace(-4, 4, 64) > 0).expand(1, 1, 64, 64)
    embeddings = torch.ones(1, 1, 1, 1)
    pairs = pairs_of((0, 0, 0, 0))
    cells = CellMasks(embeddings, ramp, masks).losses(pairs)
    many = PointParams(count=4000, uncertain=0)
    points = PointMasks(embeddings, ramp, masks, many, [0]).losses(pairs)
    for one, other in zip(cells, points, strict=True):
        assert float(one) == pytest.approx(float(other), abs=0.02)


def test_points_are_read_between_cells() -> None:
    grid: Tensor = torch.arange(4.0).reshape(1, 1, 2, 2)
    points = torch.tensor([[[0.25, 0.25], [0.75, 0.25], [0.5, 0.5]]])
    assert read_points(grid, points)[0, :, 0].tolist() == [0.0, 1.0, 1.5]


def test_without_pairs_there_are_no_losses() -> None:
    masks = torch.zeros(1, 0, 16, 16, dtype=torch.bool)
    terms = PointMasks(torch.zeros(1, 1, 2, 3), torch.zeros(1, 3, 4, 4), masks, PointParams(), [0])
    none = Pairs(*torch.zeros(4, 0, dtype=torch.int64))
    assert [len(values) for values in terms.losses(none)] == [0, 0]
