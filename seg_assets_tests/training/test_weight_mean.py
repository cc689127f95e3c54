import pytest
import torch
from torch import nn

from seg_assets.training.weight_mean import WeightMean


def parameter(*values: float) -> dict[str, nn.Parameter]:
    return {"w": nn.Parameter(torch.tensor(values))}


def test_the_mean_starts_with_a_low_decay() -> None:
    weights = parameter(0.0)
    mean = WeightMean(weights, decay=0.995)
    weights["w"].data.fill_(1.0)
    mean.update(0)
    assert mean.means["w"].item() == pytest.approx(0.9)  # decay (1 + 0) / (10 + 0)
    weights["w"].data.fill_(0.0)
    mean.update(10_000)
    assert mean.means["w"].item() == pytest.approx(0.9 * 0.995)


def test_the_model_has_the_mean_for_a_while_only() -> None:
    weights = parameter(2.0, 4.0)
    mean = WeightMean(weights, decay=0.5)
    mean.means["w"].fill_(1.0)
    with mean.in_place():
        assert weights["w"].tolist() == [1.0, 1.0]
    assert weights["w"].tolist() == [2.0, 4.0]
    assert mean.means["w"].tolist() == [1.0, 1.0]


def test_the_weights_come_back_after_an_error() -> None:
    weights = parameter(2.0)
    mean = WeightMean(weights, decay=0.5)
    mean.means["w"].fill_(1.0)
    with pytest.raises(RuntimeError), mean.in_place():
        raise RuntimeError
    assert weights["w"].item() == 2.0
