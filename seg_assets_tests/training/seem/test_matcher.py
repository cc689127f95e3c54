"""Hungarian matching on small tables (S14)."""

import torch

from seg_assets.training.seem.matcher import Pairs, match, match_own, own_costs, total_cost
from seg_assets.training.seem.params import MatchCosts


def listed(pairs: Pairs) -> list[tuple[int, ...]]:
    fields = (pairs.heads, pairs.images, pairs.queries, pairs.targets)
    return list(zip(*(field.tolist() for field in fields), strict=True))


def test_the_sum_of_costs_is_smallest_not_each_cost_s14() -> None:
    # greedy would give target 0 query 0 (cost 1) and pay 9 for target 1: 10 + 3; best is 2 + 2 + 3
    cost = torch.tensor([[1.0, 2.0, 8.0], [2.0, 9.0, 8.0], [7.0, 9.0, 3.0]])
    assert listed(match(cost[None, None], torch.ones(1, 3, dtype=torch.bool))) == [
        (0, 0, 0, 1),
        (0, 0, 1, 0),
        (0, 0, 2, 2),
    ]


def test_padding_is_never_matched_s14() -> None:
    cost = torch.tensor([[5.0, 0.0], [1.0, 0.0], [7.0, 0.0]]).expand(2, 2, 3, 2)
    valid = torch.tensor([[True, False], [False, False]])
    assert listed(match(cost, valid)) == [(0, 0, 1, 0), (1, 0, 1, 0)]


def test_more_targets_than_queries_leave_some_out_s14() -> None:
    cost = torch.tensor([[3.0, 1.0, 2.0]])
    assert listed(match(cost[None, None], torch.ones(1, 3, dtype=torch.bool))) == [(0, 0, 0, 1)]


def test_costs_that_are_no_numbers_do_not_stop_the_matching_s14() -> None:
    cost = torch.tensor([[float("nan"), 1.0], [2.0, float("inf")]])
    assert listed(match(cost[None, None], torch.ones(1, 2, dtype=torch.bool))) == [
        (0, 0, 0, 1),
        (0, 0, 1, 0),
    ]


def test_the_weights_of_the_costs_decide_s14() -> None:
    # query 0 names the class, query 1 has the mask
    probability = torch.tensor([[1.0], [0.0]])[None, None]
    bce = dice = torch.tensor([[0.5], [0.2]])[None, None]
    valid = torch.ones(1, 1, dtype=torch.bool)
    usual = total_cost(MatchCosts(), probability, bce, dice)
    assert torch.allclose(usual.flatten(), torch.tensor([5 * 0.5 + 5 * 0.5 - 2, 5 * 0.2 + 5 * 0.2]))
    assert listed(match(usual, valid)) == [(0, 0, 1, 0)]
    other = total_cost(MatchCosts(classes=5, bce=2, dice=2), probability, bce, dice)
    assert listed(match(other, valid)) == [(0, 0, 0, 0)]


def test_a_prompt_is_answered_by_its_own_queries_only_s14() -> None:
    # two prompts with two queries each; the best query of prompt 1 would be prompt 0's
    cost = torch.tensor([[4.0, 0.0], [3.0, 9.0], [9.0, 6.0], [0.0, 5.0]])[None, None]
    own = own_costs(cost)
    assert own.tolist() == [[[[4.0, 6.0], [3.0, 5.0]]]]
    valid = torch.tensor([[True, True]])
    assert listed(match_own(own, valid)) == [(0, 0, 1, 0), (0, 0, 3, 1)]
    assert listed(match_own(own, torch.tensor([[False, True]]))) == [(0, 0, 3, 1)]
