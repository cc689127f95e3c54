import numpy as np
import pytest

from seg_assets.training.sam.params import PointParams
from seg_assets.training.sam.plan import iterations, plan_iterations


def test_f8_the_papers_plan_over_1000_seeds():
    """11 iterations: a prompt, 8 points, one mask alone among 1..9, one at the end."""
    places = np.zeros(11, int)
    for seed in range(1000):
        plan = plan_iterations(PointParams(), np.random.default_rng(seed))
        assert plan.shape == (11,)
        assert not plan[0]
        assert plan[10]
        assert plan[1:10].sum() == 1
        assert (~plan[1:]).sum() == 8
        places += plan
    assert places[1:10].min() > 70  # 111 expected each; 70 is four deviations away
    assert places[1:10].max() < 152


def test_f8_given_iterations():
    rng = np.random.default_rng(0)
    params = PointParams(num_iter=4, mask_only=(2, 3))
    assert iterations(params) == 4
    assert plan_iterations(params, rng).tolist() == [False, False, True, True]
    assert plan_iterations(PointParams(num_iter=1), rng).tolist() == [False]


def test_f8_the_first_iteration_always_has_a_prompt():
    plan = plan_iterations(PointParams(num_iter=3, mask_only=(0, 1)), np.random.default_rng(0))
    assert plan.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_iter": 3, "mask_only": (3,)}, r"mask_only=\[3\] lies outside the iterations 0 to 2"),
        ({"num_iter": 3, "mask_only": (-1,)}, "outside the iterations"),
        ({"num_iter": 0}, "at least 1"),
        ({"mask_only": (2,)}, "leave it empty"),
    ],
)
def test_impossible_plans_are_refused(fields: dict, message: str):
    with pytest.raises(ValueError, match=message):
        PointParams.model_validate(fields)
