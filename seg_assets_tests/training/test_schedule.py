import pytest
import torch
from torch.optim import SGD

from seg_assets.training.config import TrainConfig
from seg_assets.training.schedule import depends_on_length, learning_rate, set_learning_rate


def test_s17_fractional_milestones_over_1000_steps() -> None:
    config = TrainConfig(steps=1000, lr=1e-4)  # the defaults are SEEM's: .88889 and .96296
    rates = [learning_rate(config, step, 1000) for step in range(1, 1001)]
    assert rates[0] == rates[887] == 1e-4
    assert rates[888] == rates[889] == pytest.approx(1e-5)  # from step 889 on
    assert rates[961] == pytest.approx(1e-5)
    assert rates[962] == rates[963] == rates[999] == pytest.approx(1e-6)


@pytest.mark.parametrize("milestones", [(60_000, 86_666), (60_000 / 100_000, 0.86666)])
def test_f16_warm_up_and_milestones(milestones: tuple[float, ...]) -> None:
    config = TrainConfig(steps=100_000, lr=1.0, warmup_steps=250, milestones=milestones)

    def rate(step: int) -> float:
        return learning_rate(config, step, 100_000)

    assert rate(1) == pytest.approx(1 / 250)
    assert rate(125) == pytest.approx(0.5)
    assert rate(250) == rate(251) == rate(59_999) == 1.0
    assert rate(60_000) == rate(86_665) == pytest.approx(0.1)
    assert rate(86_666) == rate(100_000) == pytest.approx(0.01)


def test_cosine_falls_from_the_rate_to_its_last_share() -> None:
    config = TrainConfig(steps=110, lr=2.0, warmup_steps=10, schedule="cosine", final_lr=0.03)
    assert learning_rate(config, 5, 110) == pytest.approx(1.0)
    assert learning_rate(config, 10, 110) == pytest.approx(2.0)
    assert learning_rate(config, 60, 110) == pytest.approx(2.0 * (1 + 0.03) / 2)
    assert learning_rate(config, 110, 110) == pytest.approx(0.06)


def test_constant_stays() -> None:
    config = TrainConfig(steps=10, lr=0.5, schedule="constant")
    assert {learning_rate(config, step, 10) for step in range(1, 11)} == {0.5}


@pytest.mark.parametrize(
    ("schedule", "milestones", "depends"),
    [
        ("cosine", (5,), True),
        ("multistep", (0.5,), True),
        ("multistep", (5, 8), False),
        ("constant", (0.5,), False),
    ],
)
def test_whether_the_rate_depends_on_the_length(
    schedule: str, milestones: tuple[float, ...], depends: bool
) -> None:
    config = TrainConfig.model_validate(
        {"steps": 9, "schedule": schedule, "milestones": milestones}
    )
    assert depends_on_length(config) is depends


def test_each_group_gets_its_share() -> None:
    groups = [
        {"params": [torch.zeros(1, requires_grad=True)], "lr_scale": 0.1},
        {"params": [torch.zeros(1, requires_grad=True)]},
    ]
    optimizer = SGD(groups, lr=1.0)
    set_learning_rate([optimizer], 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.5]
